import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useState, type ReactNode } from 'react';

import { API } from '../api/client';
import { documentKeys } from '../api/documents';
import { runKeys } from '../api/runs';
import { Feed, type LiveEvent, type Status } from './feed';

const GATHER = 200;

/** Reads again what events are about; many that come together count as one. */
export class Invalidation {
  private readonly client: QueryClient;
  private readonly models = new Set<string>();
  private readonly runs = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(client: QueryClient) {
    this.client = client;
  }

  of(event: LiveEvent): void {
    if (event.model !== undefined) this.models.add(event.model);
    if (event.run !== undefined) this.runs.add(event.run);
    this.timer ??= setTimeout(() => this.flush(), GATHER);
  }

  everything(): void {
    void this.client.invalidateQueries();
  }

  private flush(): void {
    this.timer = null;
    const models = new Set(this.models);
    for (const model of models) void this.client.invalidateQueries({ queryKey: documentKeys.model(model) });
    const shows = (query: { meta: { shows?: readonly string[] } | undefined }) =>
      query.meta?.shows?.some((model) => models.has(model)) === true;
    if (models.size > 0) void this.client.invalidateQueries({ predicate: shows });
    for (const run of this.runs) void this.client.invalidateQueries({ queryKey: runKeys.one(run) });
    if (this.runs.size > 0) void this.client.invalidateQueries({ queryKey: runKeys.lists });
    this.models.clear();
    this.runs.clear();
  }
}

const StatusContext = createContext<Status>('connecting');

export function useLiveStatus(): Status {
  return use(StatusContext);
}

export function Live({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [status, setStatus] = useState<Status>('connecting');
  useEffect(() => {
    const invalidation = new Invalidation(client);
    const feed = new Feed(`${API}/events`, {
      event: (event) => invalidation.of(event),
      gap: () => invalidation.everything(),
      status: setStatus,
    });
    feed.start();
    return () => feed.stop();
  }, [client]);
  return <StatusContext value={status}>{children}</StatusContext>;
}
