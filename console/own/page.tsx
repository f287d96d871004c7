export function Own() { return <p>soon</p>; }
