import { Skeleton } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { asProblem } from '../../api/client';
import { figuresQuery } from '../../api/documents';
import { slug, useCatalogue } from '../../api/meta';
import type { CardMeta, ModelMeta } from '../../api/types';
import { money, number } from '../../components/format';
import { linkOf, numberQuery, valueOf } from './cards';
import classes from './Home.module.css';
import { useMinute } from './useMinute';

/** One figure, which leads to the list that it counts. */
export function NumberCard({ card }: { card: CardMeta }) {
  const model = useCatalogue().model(card.model);
  if (model === undefined) return null;
  return <Counted card={card} model={model} />;
}

function Counted({ card, model }: { card: CardMeta; model: ModelMeta }) {
  const { t } = useTranslation();
  const now = useMinute();
  const shown = useShown(card, model);
  const { data, error } = useQuery(figuresQuery(model, numberQuery(card, now)));
  const group = data?.[0];
  const value = valueOf(card, group);
  const tone = value > 0 ? card.tone : 'neutral';
  return (
    <Link to="/data/$model" params={{ model: slug(model) }} search={linkOf(card, now)} className={classes.number}>
      <div className={classes.name} data-tone={tone}>
        {tone !== 'neutral' && <IconAlertTriangle size={15} aria-hidden />}
        <span className="ellipsis">{card.title}</span>
      </div>
      <div className={classes.value}>
        {data === undefined && error === null ? <Skeleton height={26} width={80} my={4} /> : error !== null ? t('common.none') : shown(value)}
      </div>
      <div className={classes.note}>
        {error !== null ? asProblem(error).detail : (card.note ?? (card.kind === 'count' ? model.plural.toLowerCase() : `${number(group?.count ?? 0)} ${model.plural.toLowerCase()}`))}
      </div>
    </Link>
  );
}

/** A card's values as the field that they are of is written. */
export function useShown(card: CardMeta, model: ModelMeta): (value: number) => string {
  const { meta } = useCatalogue();
  const field = model.fields.find((each) => each.name === card.field);
  return (value) => {
    if (field?.kind === 'money') return money(value, meta.ui.currency, field.decimals ?? 2);
    const rounded = number(Math.round(value * 10) / 10);
    return field?.ui?.unit === undefined ? rounded : `${rounded} ${field.ui.unit}`;
  };
}
