import { useComputedColorScheme } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useParams, useRouter } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ask } from '../api/client';
import { documentKeys } from '../api/documents';
import { useCatalogue } from '../api/meta';
import type { PageMeta } from '../api/types';
import { Page } from '../components/Page';
import { ProblemState } from '../components/States';
import { NotFound } from '../pages/NotFound';
import type { OwnPageModule } from './types';

export function OwnPage() {
  const { name } = useParams({ from: '/pages/$name' });
  const { meta } = useCatalogue();
  const page = meta.ui.pages.find((each) => each.name === name);
  return page === undefined ? <NotFound what="page" /> : <Mounted key={name} page={page} />;
}

function Mounted({ page }: { page: PageMeta }) {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const router = useRouter();
  const client = useQueryClient();
  const theme = useComputedColorScheme();
  const place = useRef<HTMLDivElement>(null);
  const [broken, setBroken] = useState<unknown>(null);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const leaving: (() => void)[] = [];
    let left = false;
    const mount = async () => {
      const address = `/project/${page.module}`;
      const module = (await import(/* @vite-ignore */ address)) as { default: OwnPageModule };
      if (left) return;
      const end = await module.default.mount({
        element,
        meta,
        theme,
        ask: (path, options = {}) => ask(path, options),
        onChange: (models, callback) => leaving.push(watch(client, models, callback)),
        navigate: (to) => router.history.push(to),
        notify: (message, colour = 'indigo') => notifications.show({ message, color: colour }),
      });
      if (typeof end === 'function') leaving.push(end);
    };
    mount().catch(setBroken);
    return () => {
      left = true;
      leaving.forEach((each) => each());
      element.replaceChildren();
    };
  }, [page, meta, theme, client, router]);

  return (
    <Page title={page.title}>
      {broken !== null && (
        <>
          <p>{t('page.broken', { title: page.title })}</p>
          <ProblemState error={broken} />
        </>
      )}
      <div ref={place} />
    </Page>
  );
}

const GATHER = 50;

/** The query cache hears of every change; the page's callback follows its invalidations. */
function watch(client: QueryClient, models: string[], callback: () => void): () => void {
  const keys = new Set(models);
  const queryKeys = models.map((model) => [...documentKeys.model(model), 'watched']);
  for (const queryKey of queryKeys) client.setQueryData(queryKey, Date.now());
  let timer: ReturnType<typeof setTimeout> | null = null;
  const stop = client.getQueryCache().subscribe((event) => {
    const [, model, kind] = event.query.queryKey as [unknown, string, string];
    if (event.type !== 'updated' || event.action.type !== 'invalidate' || kind !== 'watched' || !keys.has(model)) return;
    timer ??= setTimeout(() => {
      timer = null;
      for (const queryKey of queryKeys) client.setQueryData(queryKey, Date.now());
      callback();
    }, GATHER);
  });
  return () => {
    if (timer !== null) clearTimeout(timer);
    stop();
  };
}
