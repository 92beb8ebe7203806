import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { listQuery } from '../../api/documents';
import { slug, useCatalogue } from '../../api/meta';
import type { CardMeta, ModelMeta } from '../../api/types';
import { number } from '../../components/format';
import { Panel } from '../../components/Page';
import { ProblemState, SkeletonRows } from '../../components/States';
import { DocumentList } from '../../display/DocumentList';
import { linkOf, listQueryOf } from './cards';
import classes from './Home.module.css';
import { useMinute } from './useMinute';

/** A few documents that wait for somebody, and the way to all of them. */
export function ListCard({ card }: { card: CardMeta }) {
  const model = useCatalogue().model(card.model);
  if (model === undefined) return null;
  return <Listed card={card} model={model} />;
}

function Listed({ card, model }: { card: CardMeta; model: ModelMeta }) {
  const { t } = useTranslation();
  const now = useMinute();
  const { data, error, refetch } = useQuery(listQuery(model, listQueryOf(card, model, now)));
  return (
    <Panel
      title={
        <>
          {card.title} {data?.total !== null && data !== undefined && <span className="dimmed tabular">{number(data.total)}</span>}
        </>
      }
      aside={
        <Link to="/data/$model" params={{ model: slug(model) }} search={linkOf(card, now)} aria-label={`${t('home.showAll')}: ${card.title}`}>
          {t('home.showAll')}
        </Link>
      }
      flush
    >
      {error !== null ? (
        <ProblemState error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <SkeletonRows rows={card.limit} />
      ) : data.documents.length === 0 ? (
        <p className={classes.empty}>{t('home.noRows')}</p>
      ) : (
        <DocumentList model={model} documents={data.documents} {...(card.columns ? { columns: card.columns } : {})} />
      )}
    </Panel>
  );
}
