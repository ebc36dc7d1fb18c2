const DAY_MS = 86_400_000;

/**
 * Time of a field's value in ms since the epoch; undefined when it is none. Texts: RFC 3339, also with a space for
 * the `T`, without seconds, zone (UTC is meant) or time of day; `dd/Mon/yyyy:hh:mm:ss +zzzz` of web servers; RFC 2822
 * with a zone; decimal epoch numbers. Numbers are seconds, milliseconds, microseconds or nanoseconds by their size.
 * What is finer than a millisecond is cut.
 */
export function parseEventTime(value: unknown): number | undefined {
  if (typeof value === 'number') return epochMs(value);
  if (typeof value !== 'string' || value.length < 4 || value.length > 64) return undefined;
  const known = rfc3339Ms(value);
  if (known !== undefined) return known;
  if (/^-?\d{9,19}(\.\d+)?$/.test(value)) return epochMs(Number(value));
  return webServerMs(value) ?? zonedMs(value);
}

/**
 * Years 1973 to 5138 in seconds are 9 to 11 digits, 1973 to 5138 in milliseconds 12 to 14, and so on: the four units
 * do not overlap. Below 1e8 a number is no time but a count.
 */
function epochMs(value: number): number | undefined {
  const size = Math.abs(value);
  if (!(size >= 1e8) || size >= 1e20) return undefined;
  if (size < 1e11) return Math.floor(value * 1_000 + 1e-4);
  if (size < 1e14) return Math.floor(value);
  if (size < 1e17) return Math.floor(value / 1_000);
  return Math.floor(value / 1_000_000);
}

const ZERO = 48;

/** Two decimal digits at a place, else NaN. */
function twoAt(text: string, at: number): number {
  const high = text.charCodeAt(at) - ZERO;
  const low = text.charCodeAt(at + 1) - ZERO;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : Number.NaN;
}

/** Days since 1970-01-01 of a proleptic Gregorian date; 400-year cycles of 146,097 days, years from March. */
function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const cycle = Math.floor(shifted / 400);
  const yearOfCycle = shifted - cycle * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfCycle = yearOfCycle * 365 + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100) + dayOfYear;
  return cycle * 146_097 + dayOfCycle - 719_468;
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function dateMs(year: number, month: number, day: number): number | undefined {
  if (!(month >= 1 && month <= 12 && day >= 1 && year >= 0)) return undefined;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > (MONTH_DAYS[month - 1] as number) + (isLeap && month === 2 ? 1 : 0)) return undefined;
  return daysOf(year, month, day) * DAY_MS;
}

/** Read by character codes: this runs for every event, and `Date.parse` takes local time for texts without a zone. */
function rfc3339Ms(text: string): number | undefined {
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return undefined;
  const date = dateMs(twoAt(text, 0) * 100 + twoAt(text, 2), twoAt(text, 5), twoAt(text, 8));
  if (date === undefined || text.length === 10) return date;
  const separator = text.charCodeAt(10);
  if (separator !== 84 && separator !== 116 && separator !== 32) return undefined;
  const hour = twoAt(text, 11);
  const minute = twoAt(text, 14);
  if (!(hour <= 23 && minute <= 59) || text.charCodeAt(13) !== 58) return undefined;
  let at = 16;
  let second = 0;
  if (text.charCodeAt(at) === 58) {
    second = twoAt(text, 17);
    // A leap second is the last moment of its minute.
    if (!(second <= 60)) return undefined;
    at = 19;
  }
  const fraction = fractionAt(text, at);
  const zoneMs = zoneAt(text, at + fraction.length);
  if (zoneMs === undefined) return undefined;
  const milliseconds = second === 60 ? 59_999 : second * 1_000 + fraction.ms;
  return date + hour * 3_600_000 + minute * 60_000 + milliseconds - zoneMs;
}

/** `.123456` or `,123456`: its whole milliseconds and its length. */
function fractionAt(text: string, at: number): { readonly ms: number; readonly length: number } {
  const mark = text.charCodeAt(at);
  if (mark !== 46 && mark !== 44) return NO_FRACTION;
  let ms = 0;
  let end = at + 1;
  for (let scale = 100; end < text.length; end++, scale = Math.floor(scale / 10)) {
    const digit = text.charCodeAt(end) - ZERO;
    if (digit < 0 || digit > 9) break;
    ms += digit * scale;
  }
  return end === at + 1 ? NO_FRACTION : { ms, length: end - at };
}
const NO_FRACTION = { ms: 0, length: 0 };

/** `Z`, `UTC`, `+hh:mm`, `+hhmm`, `+hh` to the end of the text; nothing means UTC. Undefined when something else follows. */
function zoneAt(text: string, from: number): number | undefined {
  const at = text.charCodeAt(from) === 32 ? from + 1 : from;
  if (at >= text.length) return 0;
  const rest = text.length - at;
  const first = text.charCodeAt(at);
  if ((first === 90 || first === 122) && rest === 1) return 0;
  if (first !== 43 && first !== 45) return rest === 3 && text.endsWith('UTC') ? 0 : undefined;
  const hours = twoAt(text, at + 1);
  const colon = text.charCodeAt(at + 3) === 58 ? 1 : 0;
  const minutes = rest === 3 ? 0 : twoAt(text, at + 3 + colon);
  if (!(hours <= 23 && minutes <= 59) || (rest !== 3 && rest !== 5 + colon)) return undefined;
  return (first === 45 ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Common log format: `27/Mar/2015:13:08:09 +0000`. */
function webServerMs(text: string): number | undefined {
  if (text.charCodeAt(2) !== 47 || text.charCodeAt(6) !== 47 || text.charCodeAt(11) !== 58) return undefined;
  const month = MONTHS.indexOf(text.slice(3, 6).toLowerCase()) + 1;
  const date = dateMs(twoAt(text, 7) * 100 + twoAt(text, 9), month, twoAt(text, 0));
  const [hour, minute, second] = [twoAt(text, 12), twoAt(text, 15), twoAt(text, 18)];
  const zoneMs = zoneAt(text, 20);
  if (date === undefined || zoneMs === undefined || !(hour <= 23 && minute <= 59 && second <= 59)) return undefined;
  return date + hour * 3_600_000 + minute * 60_000 + second * 1_000 - zoneMs;
}

/** What else `Date.parse` knows, only where a zone is written: a time must not depend on where the program runs. */
function zonedMs(text: string): number | undefined {
  // `Date.parse` rolls 30 February over: what begins as RFC 3339 was refused above.
  if (!/\d{4}/.test(text) || /^\d{4}-/.test(text) || !/(?:Z|GMT|UTC|[+-]\d\d:?\d\d)(?: \([A-Za-z ]+\))?$/.test(text))
    return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Time inside a UUIDv7 (RFC 9562 section 5.7): its first 48 bits are milliseconds. Undefined for any other text. */
export function uuidTimeMs(id: string): number | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(id)) return undefined;
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
