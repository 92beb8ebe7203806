import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { figuresQuery, type FigureGroup } from '../../api/documents';
import { slug, useCatalogue } from '../../api/meta';
import type { CardMeta, ModelMeta } from '../../api/types';
import { number, text } from '../../components/format';
import { Panel } from '../../components/Page';
import { ProblemState, SkeletonRows } from '../../components/States';
import { enumTitle } from '../../display/enums';
import { breakdownQuery, linkOf } from './cards';
import classes from './Home.module.css';
import { useMinute } from './useMinute';

/** How many documents there are of each value; each bar leads to its list. */
export function Breakdown({ card }: { card: CardMeta }) {
  const model = useCatalogue().model(card.model);
  if (model === undefined) return null;
  return <Broken card={card} model={model} />;
}

function Broken({ card, model }: { card: CardMeta; model: ModelMeta }) {
  const { t } = useTranslation();
  const now = useMinute();
  const path = card.group ?? '';
  const { data, error, refetch } = useQuery(figuresQuery(model, breakdownQuery(card, now)));
  const order = model.fields.find((field) => field.name === path)?.values ?? [];
  const place = (group: FigureGroup) => order.indexOf(group.group[path] as string);
  const groups = (data ?? []).toSorted((one, two) => place(one) - place(two));
  const most = Math.max(1, ...groups.map((group) => group.count));
  return (
    <Panel title={card.title} aside={card.note && <span className="dimmed">{card.note}</span>}>
      {error !== null ? (
        <ProblemState error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <SkeletonRows rows={5} />
      ) : groups.length === 0 ? (
        <p className="dimmed">{t('home.noData')}</p>
      ) : (
        <ul className={classes.breakdown}>
          {groups.map((group) => {
            const value = text(group.group[path]);
            return (
              <li key={value}>
                <Link to="/data/$model" params={{ model: slug(model) }} search={{ ...linkOf(card, now), [path]: value }}>
                  <span className="ellipsis">{value === '' ? t('common.none') : enumTitle(value)}</span>
                  <span className={classes.track}>
                    <span className={classes.fill} style={{ width: `${(group.count / most) * 100}%` }} />
                  </span>
                  <b>{number(group.count)}</b>
                </Link>
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}
