// Tells what was done: to the eye for some seconds, and to a screen reader.
import { useEffect, useState } from "preact/hooks";

let show: (text: string) => void = () => {};

export const announce = (text: string) => show(text);

export function Announcements() {
  const [text, setText] = useState("");
  useEffect(() => {
    let timer = 0;
    show = (next) => {
      clearTimeout(timer);
      setText(next);
      timer = window.setTimeout(() => setText(""), 6000);
    };
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="announcements" role="status" aria-live="polite">
      {text && <p class="announcement">{text}</p>}
    </div>
  );
}
