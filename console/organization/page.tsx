export function Organization(_: { id: string; tab?: string }) { return <p>soon</p>; }
