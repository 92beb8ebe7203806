import { useQueries } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { listQuery } from '../../api/documents';
import { may, slug, useCatalogue } from '../../api/meta';
import type { ModelMeta } from '../../api/types';
import { SkeletonRows } from '../../components/States';
import { DocumentList } from '../../display/DocumentList';
import { words } from '../../schema/tree';
import classes from './Detail.module.css';

const SHOWN = 5;

/** Documents that refer to this one, model by model; those of which there are none are left out. */
export function Related({ model, id }: { model: ModelMeta; id: string }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const relations = model.referred_by.flatMap(({ model: name, field }) => {
    const other = catalogue.model(name);
    const usable = other !== undefined && may(other, 'list') && other.filters.some(({ path }) => path === field);
    return usable ? [{ other, field }] : [];
  });
  const results = useQueries({
    queries: relations.map(({ other, field }) =>
      listQuery(other, `${field}=${encodeURIComponent(id)}&limit=${SHOWN}&count=true`),
    ),
  });
  const found = relations.map((relation, place) => ({ ...relation, page: results[place]?.data }));
  const there = found.filter(({ page }) => page !== undefined && page.documents.length > 0);
  if (there.length === 0) {
    const loading = results.some((result) => result.isPending);
    return loading ? <SkeletonRows rows={4} /> : <p className={classes.nothing}>{t('detail.noRelated')}</p>;
  }
  return there.map(({ other, field, page }) => {
    const total = page?.total ?? 0;
    const twice = there.filter((each) => each.other === other).length > 1;
    return (
      <section key={`${other.name} ${field}`} className={classes.related}>
        <div className={classes.relatedHead}>
          <h3>
            {other.plural} <span className="dimmed tabular">{total}</span>
            {twice && <span className="dimmed"> · {words(field)}</span>}
          </h3>
          {total > SHOWN && (
            <Link to="/data/$model" params={{ model: slug(other) }} search={{ [field]: id }}>
              {t('detail.showAll', { count: total })}
            </Link>
          )}
        </div>
        <DocumentList model={other} documents={page?.documents ?? []} without={field} />
      </section>
    );
  });
}
