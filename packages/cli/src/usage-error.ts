/** Bad usage or input: one clear sentence on stderr and exit code 2 (ARCHITECTURE 4). */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
