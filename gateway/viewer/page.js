// Shows the document of the gateway that the page comes from.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Tries a key before the page calls it authorized.
const tryKey = (authorize, { errActions }) => async (auth) => {
  const [[authId, { value }]] = Object.entries(auth);
  errActions.clear({ authId, type: "auth", source: "auth" });
  const reply = await fetch("organization/list?limit=1", { headers: { "x-api-key": value ?? "" } });
  if (reply.status < 400 || reply.status >= 500) return authorize(auth);
  const { error } = await reply.json();
  errActions.newAuthErr({ authId, level: "error", source: "auth", message: error.message });
};

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  filter: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
  plugins: [{ statePlugins: { auth: { wrapActions: { authorize: tryKey } } } }],
});
