/** 4 or 6 for the text of an IP address, 0 for anything else. IPv6 without zone; `::ffff:10.0.0.1` is one. */
export function ipVersionOf(text: string): 0 | 4 | 6 {
  if (isIpv4(text)) return 4;
  return isIpv6(text) ? 6 : 0;
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  if (!text.includes(':')) return false;
  const last = text.slice(text.lastIndexOf(':') + 1);
  // A dotted tail stands for the last two groups.
  const plain = isIpv4(last) ? `${text.slice(0, -last.length)}0:0` : text;
  const halves = plain.split('::');
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const count = groups.reduce((sum, half) => sum + half.length, 0);
  const isComplete = halves.length === 1 ? count === 8 : count < 8;
  return isComplete && groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group));
}
