/**
 * Loaded before a service (`--import`): its wall clock steps back an hour at the first SIGUSR2 and an hour ahead of the
 * real one at the next, as NTP or a hand does; with STEPPED_CLOCK_AHEAD it is an hour ahead from the start.
 * `performance.now` and timers go on, as those of an operating system do.
 */
const HOUR_MS = 3_600_000;
const RealDate = Date;
let offsetMs = process.env['STEPPED_CLOCK_AHEAD'] === 'true' ? HOUR_MS : 0;

globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [RealDate.now() + offsetMs] : args));
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
};

process.on('SIGUSR2', () => {
  offsetMs = offsetMs < 0 ? HOUR_MS : -HOUR_MS;
  process.stderr.write(`{"message":"clock stepped","offset_ms":${offsetMs}}\n`);
});
