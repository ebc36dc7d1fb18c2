import type { LintFinding } from './check.ts';
import { suggestion } from './nearest.ts';

/** `# lint: ignore CODE[,CODE] reason`, on the line above the problem or at its end. */
type Suppression = {
  readonly line: number;
  readonly column: number;
  /** Line whose problems it suppresses. */
  readonly target: number;
  readonly codes: readonly string[];
  readonly reason: string;
};

const COMMENT = /(?:^|\s)#\s*lint:\s*ignore\s+([\w-]+(?:\s*,\s*[\w-]+)*)[ \t]*(.*)$/;

function readSuppressions(content: string): readonly Suppression[] {
  const lines = content.split('\n');
  return lines.flatMap((line, at) => {
    const found = COMMENT.exec(line.replace(/\r$/, ''));
    if (!found) return [];
    const stands = line.trimStart().startsWith('#');
    const next = lines.findIndex((other, position) => position > at && !/^\s*(#|$)/.test(other));
    return [
      {
        line: at + 1,
        column: line.indexOf('#', found.index) + 1,
        target: stands ? next + 1 : at + 1,
        codes: (found[1] ?? '').split(',').map((code) => code.trim()),
        reason: (found[2] ?? '').trim(),
      },
    ];
  });
}

/** Takes suppressed findings of one file out, and reports suppressions that are unused, unexplained or unknown. */
export function suppress(
  file: { readonly path: string; readonly content: string },
  findings: readonly LintFinding[],
  codes: readonly string[],
): readonly LintFinding[] {
  if (!file.content.includes('lint:')) return findings;
  const suppressions = readSuppressions(file.content);
  const own: LintFinding[] = [];
  const report = (code: string, { line, column }: Suppression, message: string): void => {
    own.push({ path: file.path, line, column, code, level: 'warning', message });
  };
  for (const suppression of suppressions) {
    if (suppression.reason === '') report('suppression-without-reason', suppression, 'say why the problem is accepted');
    for (const code of suppression.codes) {
      if (!codes.includes(code)) {
        report('suppression-unknown-code', suppression, `no check is called '${code}'${suggestion(code, codes)}`);
      } else if (!findings.some((finding) => finding.code === code && finding.line === suppression.target)) {
        report('suppression-unused', suppression, `'${code}' does not occur at line ${suppression.target}`);
      }
    }
  }
  const isKept = (finding: LintFinding): boolean =>
    !suppressions.some(({ target, codes: named }) => target === finding.line && named.includes(finding.code));
  return [...findings.filter(isKept), ...own];
}
