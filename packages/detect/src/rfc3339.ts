/** 0000-01-01T00:00:00Z: the years RFC 3339 can write begin here. */
const EARLIEST_MS = -62_167_219_200_000;
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

let minuteMs = Number.NaN;
let minuteText = '';

/** RFC 3339, UTC, milliseconds. Times outside the years 0 to 9999 are written as the nearest of these. */
export function rfc3339(timeMs: number): string {
  const time = Math.floor(Math.min(Math.max(timeMs, EARLIEST_MS), LATEST_MS));
  const rest = ((time % 60_000) + 60_000) % 60_000;
  // Neighbouring events share their minute: its text is most of the work.
  if (time - rest !== minuteMs) {
    minuteMs = time - rest;
    minuteText = new Date(minuteMs).toISOString().slice(0, 17);
  }
  const second = Math.floor(rest / 1_000);
  const millisecond = rest % 1_000;
  return `${minuteText}${two(second)}.${millisecond < 100 ? '0' : ''}${two(millisecond)}Z`;
}

function two(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}
