import type { LogSource } from '@tracehound/sigma';
import { UsageError } from '../usage-error.ts';

/** `product=aws,service=cloudtrail`; also `category=`. @throws UsageError for anything else. */
export function parseLogSource(text: string): LogSource {
  const parts: { product: string | null; service: string | null; category: string | null } = {
    product: null,
    service: null,
    category: null,
  };
  for (const part of text.split(',')) {
    const [key, value, ...more] = part.split('=').map((piece) => piece.trim());
    const isKnown = key === 'product' || key === 'service' || key === 'category';
    if (!isKnown || !value || more.length > 0) {
      throw new UsageError(`--logsource ${text}: write product=…,service=…,category=…, at least one of them`);
    }
    parts[key] = value;
  }
  return parts;
}
