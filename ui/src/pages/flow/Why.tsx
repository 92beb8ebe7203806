import { useTranslation } from 'react-i18next';

import type { Plan } from '../../api/types';
import classes from './Flow.module.css';

/** What a step comes after, and the reason behind each of these edges. */
export function Why({ plan, operation, titled }: { plan: Plan; operation: string; titled: (operation: string) => string }) {
  const { t } = useTranslation();
  const edges = plan.edges.filter((edge) => edge.after === operation);
  return (
    <>
      <h3 className={classes.heading}>{t('flow.why')}</h3>
      {edges.length === 0 ? (
        <p>{t('flow.first')}</p>
      ) : (
        <ul className={classes.why}>
          {edges.map((edge) => (
            <li key={edge.before}>
              <b>{titled(edge.before)}</b>
              <div className="dimmed">{edge.why}</div>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
