/** Server-sent events over fetch: unlike EventSource it tells a refusal from a broken line, and takes any cursor. */

export interface Message {
  id: string | null;
  data: string | null;
}

/** Takes a stream's text apart; chunks may end anywhere. */
export class Parser {
  private rest = '';
  private id: string | null = null;
  private data: string[] = [];

  push(chunk: string): Message[] {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    const found: Message[] = [];
    for (const line of lines) {
      const text = line.endsWith('\r') ? line.slice(0, -1) : line;
      if (text === '') {
        if (this.id !== null || this.data.length > 0) {
          found.push({ id: this.id, data: this.data.length > 0 ? this.data.join('\n') : null });
        }
        this.id = null;
        this.data = [];
      } else {
        this.field(text);
      }
    }
    return found;
  }

  private field(line: string): void {
    const [name, value] = split(line);
    if (name === 'id') this.id = value;
    if (name === 'data') this.data.push(value);
  }
}

function split(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}

export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the stream was refused with ${status}`);
    this.status = status;
  }
}

export interface Reading {
  cursor: string | null;
  signal: AbortSignal;
  /** Milliseconds without a byte after which the line counts as dead; the server is never silent for so long. */
  silence: number;
  opened: () => void;
  message: (message: Message) => void;
}

/** Read a stream until it ends or breaks. Throws Refused where the server answers, but not with a stream. */
export async function readStream(url: string, reading: Reading): Promise<void> {
  const broken = new AbortController();
  const signal = AbortSignal.any([reading.signal, broken.signal]);
  let timer = setTimeout(() => broken.abort(), reading.silence);
  try {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (reading.cursor !== null) headers['Last-Event-ID'] = reading.cursor;
    const response = await fetch(url, { headers, signal, cache: 'no-store' });
    if (!response.ok || response.body === null) throw new Refused(response.status);
    reading.opened();
    const parser = new Parser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => broken.abort(), reading.silence);
      parser.push(value).forEach(reading.message);
    }
  } finally {
    clearTimeout(timer);
    broken.abort();
  }
}
