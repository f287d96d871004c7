// How amounts, times and names are written.
const locale = navigator.language;

const money = new Intl.NumberFormat(locale, { style: "currency", currency: "USD" });
const smallMoney = new Intl.NumberFormat(locale, { style: "currency", currency: "USD", maximumSignificantDigits: 2 });
const count = new Intl.NumberFormat(locale);

export const dollars = (amount: number) =>
  amount !== 0 && Math.abs(amount) < 0.01 ? smallMoney.format(amount) : money.format(amount);

export const number = (amount: number) => count.format(amount);

const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const minute = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const second = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

export const date = (time: string | Date) => day.format(new Date(time));
export const dateAndTime = (time: string | Date) => minute.format(new Date(time));
export const exactTime = (time: string | Date) => second.format(new Date(time));

const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

// Such as "in 3 days", or "5 minutes ago".
export function fromNow(time: string | Date): string {
  const seconds = (new Date(time).getTime() - Date.now()) / 1000;
  for (const [unit, length] of units)
    if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  return relative.format(Math.round(seconds), "second");
}

export const plural = (amount: number, one: string, many = `${one}s`) =>
  `${number(amount)} ${amount === 1 ? one : many}`;

// The days of UTC, as the reports name them.
export const utcDay = (time: Date) => time.toISOString().slice(0, 10);
export const daysBefore = (time: Date, days: number) => new Date(time.getTime() - days * 86400_000);

const roles: Record<string, string> = {
  proxy_admin: "Platform admin",
  proxy_admin_viewer: "Platform viewer",
  org_admin: "Organization admin",
  internal_user: "Member",
  internal_user_viewer: "Member, reads only",
  admin: "Team admin",
  user: "Member",
};

export const roleName = (role: string | null | undefined) => (role ? (roles[role] ?? role) : "No role");
