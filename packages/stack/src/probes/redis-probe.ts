import { type Endpoint, tcpExchange } from './tcp-exchange.ts';

/** PING; throws when the server does not answer PONG (also while it loads its file). */
export async function pingRedis(url: string): Promise<void> {
  const [reply] = await redisCommands(url, [['PING']]);
  if (reply !== '+PONG') throw new Error(`PING was answered with ${reply ?? 'nothing'}`);
}

/** The value of one CONFIG key, or null when the server does not know it. */
export async function redisConfig(url: string, key: string): Promise<string | null> {
  const [reply] = await redisCommands(url, [['CONFIG', 'GET', key]]);
  // An array of two bulk strings (name, value), which end up on the lines after their length prefixes.
  const lines = (reply ?? '').split('\r\n');
  if (lines[0]?.startsWith('-')) throw new Error(`CONFIG GET was refused: ${lines[0].slice(1)}`);
  return lines[0] === '*2' ? (lines[4] ?? null) : null;
}

/** Sends commands in one go (after AUTH when the URL has a password) and returns the raw replies. */
async function redisCommands(url: string, commands: readonly (readonly string[])[]): Promise<string[]> {
  const { hostname, port, username, password, protocol } = new URL(url);
  const endpoint: Endpoint = { host: hostname, port: Number(port || 6379), tls: protocol === 'rediss:' };
  const login: string[][] =
    password === ''
      ? []
      : [['AUTH', ...(username === '' ? [] : [decodeURIComponent(username)]), decodeURIComponent(password)]];
  const all = [...login, ...commands];
  const request = Buffer.from(all.map(encodeCommand).join(''));
  const answer = await tcpExchange(
    endpoint,
    request,
    (received) => splitReplies(received.toString('utf8')).length >= all.length,
  );
  return splitReplies(answer.toString('utf8')).slice(login.length);
}

function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** RESP2 replies of the kinds these commands give: a status or error line, or a flat array of bulk strings. */
function splitReplies(text: string): string[] {
  const lines = text.split('\r\n');
  lines.pop(); // what follows the last line break is not complete yet
  const replies: string[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i] ?? '';
    const length = line.startsWith('*') ? 1 + 2 * Math.max(0, Number(line.slice(1))) : 1;
    if (i + length > lines.length) break;
    replies.push(lines.slice(i, i + length).join('\r\n'));
    i += length;
  }
  return replies;
}
