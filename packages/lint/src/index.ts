/** Checks, tests and coverage of Sigma rules. Pure: files are read, and reports printed, by the caller. */
export type { DetectResult } from '@tracehound/detect';
