import { AreaChart, BarChart } from '@mantine/charts';
import '@mantine/charts/styles.css';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { figuresQuery } from '../../api/documents';
import { useCatalogue } from '../../api/meta';
import type { CardMeta, ModelMeta } from '../../api/types';
import { compact } from '../../components/format';
import { Panel } from '../../components/Page';
import { ProblemState, SkeletonRows } from '../../components/States';
import { bucketOf, chartQuery, measure, points, type Bucket, type Point } from './cards';
import classes from './Home.module.css';
import { useShown } from './NumberCard';
import { useMinute } from './useMinute';

export function ChartCard({ card }: { card: CardMeta }) {
  const model = useCatalogue().model(card.model);
  if (model === undefined) return null;
  return <Charted card={card} model={model} />;
}

function Charted({ card, model }: { card: CardMeta; model: ModelMeta }) {
  const now = useMinute();
  const { data, error, refetch } = useQuery(figuresQuery(model, chartQuery(card, now)));
  const shown = useShown(card, model);
  const found = points(card, data ?? [], now);
  const total = measure(card) === 'sum' ? shown(found.reduce((sum, point) => sum + point.value, 0)) : card.note;
  return (
    <Panel title={card.title} aside={<span className="dimmed tabular">{total}</span>}>
      {error !== null ? (
        <ProblemState error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <SkeletonRows rows={6} />
      ) : (
        <Drawing card={card} found={found} shown={shown} />
      )}
    </Panel>
  );
}

function Drawing({ card, found, shown }: { card: CardMeta; found: Point[]; shown: (value: number) => string }) {
  const { t } = useTranslation();
  if (found.every((point) => point.value === 0)) return <p className="dimmed">{t('home.noData')}</p>;
  const { bucket } = bucketOf(card);
  const data = found.map((point) => ({ at: labelOf(point.at, bucket), value: point.value }));
  const common = {
    data,
    dataKey: 'at',
    series: [{ name: 'value', label: card.title, color: 'indigo.6' }],
    valueFormatter: shown,
    yAxisProps: { tickFormatter: (value: number) => compact(value), width: 48 },
    xAxisProps: { minTickGap: 24 },
    tickLine: 'none' as const,
    gridAxis: 'x' as const,
    className: classes.chart ?? '',
  };
  return (
    <figure style={{ margin: 0 }} aria-label={card.title}>
      {card.shape === 'bar' ? (
        <BarChart {...common} maxBarWidth={26} barProps={{ isAnimationActive: false, radius: [3, 3, 0, 0] }} />
      ) : (
        <AreaChart {...common} withDots={false} curveType="monotone" strokeWidth={2} areaProps={{ isAnimationActive: false }} />
      )}
      <table className="visually-hidden">
        <caption>{t('home.table')}</caption>
        <tbody>
          {data.map((point) => (
            <tr key={point.at}>
              <th scope="row">{point.at}</th>
              <td>{shown(point.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

const LOCALE = navigator.language;

function labelOf(key: string, bucket: Bucket): string {
  if (bucket === 'year') return key;
  if (bucket === 'month') return new Date(`${key}-01T00:00:00Z`).toLocaleDateString(LOCALE, { month: 'short', year: '2-digit', timeZone: 'UTC' });
  if (bucket === 'hour') return new Date(key).toLocaleTimeString(LOCALE, { hour: '2-digit', minute: '2-digit' });
  return new Date(`${key}T00:00:00Z`).toLocaleDateString(LOCALE, { day: 'numeric', month: 'short', timeZone: 'UTC' });
}
