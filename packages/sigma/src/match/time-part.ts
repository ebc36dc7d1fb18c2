import type { Scalar } from '../field-view.ts';
import type { TimeUnit } from '../test-tree.ts';

/** A time as it is written: the fields of its own offset, or of UTC. */
type CivilTime = {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
};

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,12})?)?\s?(?:[Zz]|UTC|[+-]\d\d:?\d\d)?)?$/;
const DAY_MS = 86_400_000;

/**
 * A part of the time a value is; undefined when it is none. Texts keep their own offset (Sigma 2.1 says its time
 * modifiers are "not designed to handle timezone"), without one they are UTC; numbers, and texts of digits, are the
 * time since 1970 in seconds, milliseconds, microseconds or nanoseconds, told apart by size. Weeks are ISO 8601 weeks.
 */
export function timePart(value: Scalar, unit: TimeUnit): number | undefined {
  const time = civilTimeOf(value);
  if (!time) return undefined;
  return unit === 'week' ? isoWeek(time) : time[unit];
}

function civilTimeOf(value: Scalar): CivilTime | undefined {
  if (typeof value === 'number') return fromEpoch(value);
  if (typeof value !== 'string') return undefined;
  if (/^\d{9,19}(?:\.\d{1,9})?$/.test(value)) return fromEpoch(Number(value));
  const fields = RFC_3339.exec(value)
    ?.slice(1, 7)
    .map((field) => Number(field ?? 0));
  if (!fields) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const isReal = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  // 60 is a leap second.
  return isReal && hour <= 23 && minute <= 59 && second <= 60 ? { year, month, day, hour, minute } : undefined;
}

/** 10^11 seconds is the year 5138, 10^11 milliseconds is 1973; and so on by thousands. */
function fromEpoch(value: number): CivilTime | undefined {
  const size = Math.abs(value);
  const ms = size < 1e11 ? value * 1_000 : size < 1e14 ? value : size < 1e17 ? value / 1_000 : value / 1_000_000;
  const date = new Date(Math.floor(ms));
  if (Number.isNaN(date.getTime())) return undefined;
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
  };
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(2000, month, 0)).getUTCDate() - (month === 2 && !isLeap(year) ? 1 : 0);
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** The week that holds the date's Thursday; week 1 is the one with January 4th. */
function isoWeek({ year, month, day }: CivilTime): number {
  const date = utcDay(year, month, day);
  const weekday = (new Date(date * DAY_MS).getUTCDay() + 6) % 7;
  const thursday = new Date((date - weekday + 3) * DAY_MS);
  const first = utcDay(thursday.getUTCFullYear(), 1, 1);
  return Math.floor((date - weekday + 3 - first) / 7) + 1;
}

/** Days since 1970; `Date.UTC` takes years below 100 for 19xx. */
function utcDay(year: number, month: number, day: number): number {
  return new Date(Date.UTC(2000, month - 1, day)).setUTCFullYear(year, month - 1, day) / DAY_MS;
}
