// Reserves a call of a model with pg_org, reads what the provider says of its tokens, and settles it. See README.md.
import settings from 'settings.js';

const PAUSES = [100, 500, 2000, 5000]; // in milliseconds, between the tries
const MAX_REPLY = 16 * 1024 * 1024; // that is searched for its usage, and so is a line of a stream

// ---- Asking pg_org

// Ask until there is an answer. Repeating is safe, because each call has a request_id.
async function ask(path, fields) {
  const request = {
    method: 'POST',
    headers: { Authorization: `Bearer ${settings.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(fields),
  };
  for (let tries = 0; tries <= PAUSES.length; tries++) {
    if (tries) await pause(PAUSES[tries - 1]);
    const answer = await askOnce(path, request);
    if (answer && answer.status < 500) return answer;
  }
  return null;
}

async function askOnce(path, request) {
  try {
    const reply = await ngx.fetch(`${settings.pgOrg}/usage/${path}`, request);
    const text = await reply.text();
    return { status: reply.status, text: text, body: JSON.parse(text), retryAfter: reply.headers.get('Retry-After') };
  } catch (error) {
    return null; // not reached, or cut off: the request may or may not have been carried out
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Rather than the key or the URL in the settings, which callers can do nothing about.
function concernsTheCall(answer) {
  const error = answer.body.error;
  if ([400, 401, 403].includes(answer.status)) return Boolean(error && error.param && error.param !== 'None');
  return [409, 422, 429].includes(answer.status);
}

// ---- Before the call

async function reserve(r) {
  const request = parse(r.requestText);
  const secret = bearer(r);
  if (!request || typeof request.model !== 'string') return refuse(r, 400, 'The body must be JSON and name a model.');
  if (!secret) return refuse(r, 401, 'Authorization must be Bearer and a key.');
  if (!Object.prototype.hasOwnProperty.call(settings.models, request.model))
    return refuse(r, 400, `There is no model ${request.model}.`);
  const maxAnswer = longestAnswer(request);
  if (!Number.isInteger(maxAnswer) || maxAnswer < 0) return refuse(r, 400, 'The longest answer must be a number.');
  const maxPrompt = Buffer.from(r.requestText).length + 16; // tokens: at most one per byte, and some of the format
  const call = {
    key: secret,
    model: request.model,
    max_cost: price(request.model, maxPrompt, maxAnswer),
    max_tokens: maxPrompt + maxAnswer,
    request_id: `${Date.now().toString(16)}-${r.variables.request_id}`, // found faster with the time before it
    ttl_seconds: settings.holdSeconds,
  };
  const answer = await ask('reserve', call);
  if (!answer) return refuse(r, 503, 'Limits cannot be checked at the moment.');
  if (answer.status !== 200) return passOn(r, answer);
  r.variables.pg_org_request_id = call.request_id;
  r.variables.pg_org_model = call.model;
  r.variables.pg_org_max_cost = call.max_cost;
  r.variables.provider_authorization = `Bearer ${settings.providerKey}`;
  r.variables.provider_body = JSON.stringify(forProvider(request, answer.body.model));
  r.internalRedirect('@call');
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' ? value : null;
  } catch (error) {
    return null;
  }
}

function bearer(r) {
  const match = /^Bearer +([^ ]+)$/i.exec(r.headersIn.Authorization || '');
  return match && match[1];
}

// In tokens, of all answers together.
function longestAnswer(request) {
  const asked = [request.max_completion_tokens, request.max_tokens].filter((value) => value || value === 0);
  const answers = Math.max(request.n || 1, request.best_of || 1);
  const prompts = Array.isArray(request.prompt) ? request.prompt.length : 1;
  return (asked.length ? Math.max.apply(null, asked) : settings.models[request.model].maxAnswer) * answers * prompts;
}

// In dollars, as text.
function price(model, promptTokens, answerTokens) {
  const prices = settings.models[model];
  return ((promptTokens * prices.prompt + answerTokens * prices.answer) / 1e6).toFixed(12);
}

// With the model that an alias stands for. A stream tells its tokens only if it is asked to.
function forProvider(request, model) {
  const changes = { model: model };
  if (request.stream) changes.stream_options = Object.assign({}, request.stream_options, { include_usage: true });
  return Object.assign({}, request, changes);
}

function passOn(r, answer) {
  if (!concernsTheCall(answer)) {
    r.error(`pg_org: ${answer.status} ${answer.text}`);
    return refuse(r, 503, 'Limits cannot be checked at the moment.');
  }
  if (answer.retryAfter) r.headersOut['Retry-After'] = answer.retryAfter;
  r.headersOut['Content-Type'] = 'application/json';
  r.return(answer.status, answer.text);
}

function refuse(r, status, message) {
  const error = { message: message, type: 'pg_org_error', param: 'None', code: String(status) };
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, JSON.stringify({ error: error }));
}

// ---- During the call

let unread = ''; // the reply so far, or of a stream the line that has begun

function read(r, data, flags) {
  r.sendBuffer(data, flags);
  unread += data.toString();
  if (unread.length > MAX_REPLY) unread = '';
  if (String(r.headersOut['Content-Type']).startsWith('text/event-stream')) {
    const lines = unread.split('\n');
    unread = lines.pop();
    lines.forEach((line) => keepUsage(r, line.replace(/^data:/, '')));
  } else if (flags.last) {
    keepUsage(r, unread);
  }
}

function keepUsage(r, text) {
  if (!text.includes('"usage"')) return;
  const reply = parse(text);
  if (reply && reply.usage) r.variables.pg_org_usage = JSON.stringify(reply.usage);
}

// ---- After the call

async function settle(r) {
  const known = r.variables;
  const usage = parse(known.pg_org_usage);
  const fields = { request_id: known.pg_org_request_id };
  if (!usage && wasNotCharged(known)) {
    await ask('cancel', fields); // without an answer the hold expires by itself
    return r.finish();
  }
  if (usage) {
    fields.prompt_tokens = usage.prompt_tokens || 0;
    fields.completion_tokens = usage.completion_tokens || 0;
    fields.cost = price(known.pg_org_model, fields.prompt_tokens, fields.completion_tokens);
  } else {
    fields.cost = known.pg_org_max_cost; // it may have cost that much
    fields.failed = true;
  }
  let answer = await ask('settle', fields);
  if (answer && answer.status === 404) // a failover has forgotten the reservation
    answer = await ask('record', Object.assign({ key: bearer(r), model: known.pg_org_model }, fields));
  if (!answer || answer.status !== 200) r.error(`pg_org: not reported: ${JSON.stringify(fields)}`);
  r.finish();
}

// The provider was not reached, or refused.
function wasNotCharged(known) {
  const isTime = (value) => /[0-9]$/.test(value || '');
  if (!isTime(known.upstream_connect_time)) return true;
  return isTime(known.upstream_header_time) && Number(known.upstream_status) >= 400;
}

export default { reserve, read, settle };
