import { profilesOf, selectProfile } from '@tracehound/lint';
import type { RuleFile } from '@tracehound/sigma';
import { UsageError } from '../usage-error.ts';

/**
 * The rules of `--profile` with what they stand on; all of them when it is not given.
 * @throws UsageError naming the profiles there are, when no rule has this one.
 */
export function ofProfile(files: readonly RuleFile[], profile: string | undefined): readonly RuleFile[] {
  if (profile === undefined) return files;
  const known = profilesOf(files);
  if (known.includes(profile.toLowerCase())) return selectProfile(files, profile);
  const choice = known.length === 0 ? 'none of them names one under custom.profile' : `there are: ${known.join(', ')}`;
  throw new UsageError(`--profile ${profile}: no rule has this profile; ${choice}`);
}
