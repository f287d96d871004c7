// Where in the console the reader is: the part of the address after the hash.  It names things, never keys.
import { useEffect, useState } from "preact/hooks";

export type Place = string[];

const read = (): Place => location.hash.replace(/^#\/?/, "").split("?")[0]!.split("/").filter(Boolean).map(decode);

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const linkTo = (...place: Place) => `#/${place.map(encodeURIComponent).join("/")}`;

export const go = (...place: Place) => {
  location.hash = linkTo(...place);
};

export function usePlace(): Place {
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const follow = () => setPlace(read());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return place;
}
