import { DeadLetterLimit } from '@tracehound/pipeline';
import { type CorrelatorConfig, DEAD_LETTER_SHARE_KEY } from './config.ts';

/** Records of a partition that are looked back at. */
const WINDOW_RECORDS = 10_000;

/** A limit for one partition. */
export function createDeadLetterLimit(config: CorrelatorConfig, onRefused: () => void): DeadLetterLimit {
  return new DeadLetterLimit(
    {
      lettersMin: config.deadLettersMin,
      shareMax: config.deadLetterSharePercentMax / 100,
      windowRecords: WINDOW_RECORDS,
      onRefused,
    },
    DEAD_LETTER_SHARE_KEY,
  );
}
