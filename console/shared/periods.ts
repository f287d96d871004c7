// The periods that budgets are offered for.
import type { Choice } from "./form";

const usual: Choice[] = [
  ["", "for ever"],
  ["1d@UTC", "day"],
  ["1w@UTC", "week"],
  ["1mo@UTC", "month"],
  ["1q@UTC", "quarter"],
  ["1y@UTC", "year"],
  ["30d", "30 days"],
];

// With the one that is set, if it is another.
export const periods = (current: string): Choice[] =>
  usual.some(([value]) => value === current) ? usual : [...usual, [current, current]];
