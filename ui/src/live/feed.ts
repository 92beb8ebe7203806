/**
 * One stream of events for all tabs of a browser. The tab that holds the lock reads it and tells the others; when it
 * closes, the next one goes on from the last cursor that anybody has seen, so that nothing between is missed.
 */

import { readStream, Refused, type Message } from './sse';

export type Status = 'connecting' | 'live' | 'offline';

export interface LiveEvent {
  type: string;
  run?: string;
  name?: string;
  operation?: string;
  model?: string;
  id?: string;
}

type News =
  | { kind: 'event'; cursor: string; event: LiveEvent }
  | { kind: 'cursor'; cursor: string }
  | { kind: 'status'; status: Status }
  | { kind: 'gap'; cursor: string | null }
  | { kind: 'hello' };

export interface Listener {
  event: (event: LiveEvent) => void;
  /** Events may have been missed: what is shown has to be read again. */
  gap: () => void;
  status: (status: Status) => void;
}

const NAME = 'pulpo-live';
const SILENCE = 40_000;
const SHORTEST = 500;
const LONGEST = 10_000;

export class Feed {
  private readonly channel = new BroadcastChannel(NAME);
  private readonly stopped = new AbortController();
  private readonly url: string;
  private readonly listener: Listener;
  private cursor: string | null = null;
  private status: Status = 'connecting';
  private leading = false;
  /** Whether another tab has told of the stream before. */
  private followed = false;
  private wake: (() => void) | null = null;

  constructor(url: string, listener: Listener) {
    this.url = url;
    this.listener = listener;
    this.channel.onmessage = (message: MessageEvent<News>) => this.heard(message.data);
  }

  start(): void {
    this.tell({ kind: 'hello' });
    window.addEventListener('online', this.hurry);
    navigator.locks
      .request(NAME, { signal: this.stopped.signal }, () => this.lead())
      .catch((error: unknown) => {
        if (!this.stopped.signal.aborted) throw error;
      });
  }

  stop(): void {
    this.stopped.abort();
    window.removeEventListener('online', this.hurry);
    this.channel.close();
  }

  private readonly hurry = () => this.wake?.();

  private async lead(): Promise<void> {
    this.leading = true;
    let delay = SHORTEST;
    while (!this.stopped.signal.aborted) {
      // What came while nobody listened is known by the cursor; without one, and after a silence, all is read again.
      const again = this.status === 'offline' || (this.followed && this.cursor === null);
      try {
        await readStream(this.url, {
          cursor: this.cursor,
          signal: this.stopped.signal,
          silence: SILENCE,
          opened: () => {
            delay = SHORTEST;
            this.became('live');
            this.followed = false;
            if (again) this.missed();
          },
          message: (message) => this.read(message),
        });
      } catch (error) {
        if (error instanceof Refused && error.status < 500) {
          this.cursor = null; // expired, or of another database: begin afresh
          this.missed();
        } else {
          this.became('offline');
        }
      }
      await this.pause(delay * (0.75 + Math.random() / 2));
      delay = Math.min(delay * 2, LONGEST);
    }
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private read(message: Message): void {
    const { id, data } = message;
    if (id === null) return;
    this.cursor = id;
    if (data === null) {
      this.tell({ kind: 'cursor', cursor: id });
      return;
    }
    const event = JSON.parse(data) as LiveEvent;
    this.tell({ kind: 'event', cursor: id, event });
    this.listener.event(event);
  }

  private heard(news: News): void {
    switch (news.kind) {
      case 'hello':
        if (this.leading) this.tell({ kind: 'status', status: this.status });
        return;
      case 'cursor':
        this.cursor = news.cursor;
        return;
      case 'event':
        this.cursor = news.cursor;
        this.listener.event(news.event);
        return;
      case 'gap':
        this.cursor = news.cursor;
        this.listener.gap();
        return;
      case 'status':
        this.followed = true;
        this.status = news.status;
        this.listener.status(news.status);
    }
  }

  private missed(): void {
    this.tell({ kind: 'gap', cursor: this.cursor });
    this.listener.gap();
  }

  private became(status: Status): void {
    if (status === this.status) return;
    this.status = status;
    this.tell({ kind: 'status', status });
    this.listener.status(status);
  }

  private tell(news: News): void {
    if (!this.stopped.signal.aborted) this.channel.postMessage(news);
  }
}
