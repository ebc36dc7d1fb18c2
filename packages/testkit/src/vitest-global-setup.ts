import { missingAddressKeys } from '@tracehound/stack';

export default function setup(): void {
  const missing = missingAddressKeys(process.env);
  if (missing.length > 0) throw new Error(`source .tracehound/dev.env first; missing: ${missing.join(', ')}`);
}
