import { useTranslation } from 'react-i18next';
import { lazy, Suspense } from 'react';

import { may, useCatalogue } from '../../api/meta';
import type { CardMeta } from '../../api/types';
import { Page, Panel } from '../../components/Page';
import { Empty, SkeletonRows } from '../../components/States';
import { Breakdown } from './Breakdown';
import classes from './Home.module.css';
import { ListCard } from './ListCard';
import { NumberCard } from './NumberCard';
import { Attention, LiveRuns, RunNumbers } from './RunCards';

const ChartCard = lazy(async () => ({ default: (await import('./ChartCard')).ChartCard }));

const NUMBERS: readonly CardMeta['kind'][] = ['count', 'sum', 'average'];

/** What an operator wants to know first: figures, what is stuck, what runs, what waits to be done. */
export function HomePage() {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const cards = catalogue.meta.ui.cards.filter((card) => {
    const model = catalogue.model(card.model);
    return model !== undefined && may(model, 'list');
  });
  const runs = catalogue.mayRuns('list');
  const of = (...kinds: CardMeta['kind'][]) => cards.filter((card) => kinds.includes(card.kind));
  return (
    <Page title={t('home.title')}>
      <div className={classes.numbers}>
        {of(...NUMBERS).map((card) => (
          <NumberCard key={card.title} card={card} />
        ))}
        {runs && <RunNumbers />}
      </div>
      {cards.length === 0 && (
        <Panel className={classes.wide ?? ''}>
          <Empty title={t('home.noCards')}>
            <p className="dimmed">{t('home.noCardsHint')}</p>
          </Empty>
        </Panel>
      )}
      <div className={classes.grid}>
        {runs && <Attention />}
        {runs && <LiveRuns />}
        {of('chart').map((card) => (
          <Suspense key={card.title} fallback={<Loading title={card.title} />}>
            <ChartCard card={card} />
          </Suspense>
        ))}
        {of('breakdown').map((card) => (
          <Breakdown key={card.title} card={card} />
        ))}
        {of('list').map((card) => (
          <ListCard key={card.title} card={card} />
        ))}
      </div>
    </Page>
  );
}

function Loading({ title }: { title: string }) {
  return (
    <Panel title={title} flush>
      <SkeletonRows rows={6} />
    </Panel>
  );
}
