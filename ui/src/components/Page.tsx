import { useEffect, type ReactNode } from 'react';

import { useCatalogue } from '../api/meta';
import classes from './Page.module.css';

interface PageProps {
  title: string;
  crumbs?: ReactNode[];
  beside?: ReactNode;
  below?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page's frame: where one is, what it is, what can be done with it. */
export function Page({ title, crumbs = [], beside, below, actions, children }: PageProps) {
  const { meta } = useCatalogue();
  useEffect(() => {
    document.title = `${title} · ${meta.ui.title}`;
  }, [title, meta]);
  return (
    <div className={classes.page}>
      {crumbs.length > 0 && (
        <nav aria-label={title}>
          <ol className={classes.crumbs}>
            {crumbs.map((crumb, place) => (
              <li key={place}>{crumb}</li>
            ))}
          </ol>
        </nav>
      )}
      <div className={classes.head}>
        <div className={classes.headText}>
          <div className={classes.titleRow}>
            <h1>{title}</h1>
            {beside}
          </div>
          {below && <div className={classes.sub}>{below}</div>}
        </div>
        {actions}
      </div>
      {children}
    </div>
  );
}

interface PanelProps {
  title?: ReactNode;
  aside?: ReactNode;
  flush?: boolean;
  children: ReactNode;
  className?: string;
  label?: string;
}

export function Panel({ title, aside, flush, children, className, label }: PanelProps) {
  return (
    <section className={`${classes.panel ?? ''} ${className ?? ''}`} aria-label={label}>
      {(title !== undefined || aside !== undefined) && (
        <div className={classes.panelHead}>
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      <div className={classes.panelBody} data-flush={flush ?? undefined}>
        {children}
      </div>
    </section>
  );
}
