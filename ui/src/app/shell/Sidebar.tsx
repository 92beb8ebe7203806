import { Link, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { may, slug, useCatalogue } from '../../api/meta';
import type { Meta, ModelMeta } from '../../api/types';
import { Icon } from '../../components/Icon';
import classes from './Shell.module.css';

export function Sidebar() {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const place = useRef<HTMLDivElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => {
    place.current?.querySelector('[data-status=active]')?.scrollIntoView({ block: 'nearest' });
  }, [path]);
  const flows = meta.flows.filter((flow) => flow.plan.steps.length > 0);
  return (
    <>
      <div className={classes.nav} ref={place}>
        <ul className={classes.links}>
          <li>
            <Link to="/" className={classes.link} activeOptions={{ exact: true }}>
              <Icon name="layout" />
              <span>{t('nav.home')}</span>
            </Link>
          </li>
          {meta.runs.may.includes('list') && (
            <li>
              <Link to="/runs" className={classes.link} search={{}} activeOptions={{ includeSearch: false }}>
                <Icon name="activity" />
                <span>{t('nav.runs')}</span>
              </Link>
            </li>
          )}
        </ul>
        {grouped(meta, t('nav.data')).map(([title, models]) => (
          <Section key={title} title={title}>
            {models.map((model) => (
              <li key={model.name}>
                <Link to="/data/$model" params={{ model: slug(model) }} className={classes.link} search={{}} activeOptions={{ includeSearch: false }}>
                  <Icon {...(model.ui.icon ? { name: model.ui.icon } : {})} fallback="file" />
                  <span>{model.plural}</span>
                </Link>
              </li>
            ))}
          </Section>
        ))}
        {meta.ui.pages.length > 0 && (
          <Section title={t('nav.pages')}>
            {meta.ui.pages.map((page) => (
              <li key={page.name}>
                <Link to="/pages/$name" params={{ name: page.name }} className={classes.link}>
                  <Icon name={page.icon} fallback="layout" />
                  <span>{page.title}</span>
                </Link>
              </li>
            ))}
          </Section>
        )}
        <Section title={t('nav.automation')}>
          {flows.map((flow) => (
            <li key={flow.name}>
              <Link to="/flows/$name" params={{ name: flow.name }} className={classes.link} search={{}} activeOptions={{ includeSearch: false }}>
                <Icon name="flow" />
                <span>{flow.title}</span>
              </Link>
            </li>
          ))}
          {meta.operations.some((operation) => operation.may.includes('call')) && (
            <li>
              <Link to="/operations" className={classes.link}>
                <Icon name="play" />
                <span>{t('nav.operations')}</span>
              </Link>
            </li>
          )}
        </Section>
      </div>
      <div className={classes.foot}>{t('nav.version', { version: meta.pulpo })}</div>
    </>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <h2 className={classes.heading}>{title}</h2>
      <ul className={classes.links}>{children}</ul>
    </>
  );
}

/** The models under their headings, in the project's order; those without a heading come under `rest`. */
function grouped(meta: Meta, rest: string): [string, ModelMeta[]][] {
  const groups = new Map<string, ModelMeta[]>(meta.ui.groups.map((group) => [group, []]));
  const shown = meta.models.filter((model) => may(model, 'list') && model.ui.hidden !== true);
  for (const model of shown.toSorted((one, two) => (one.ui.order ?? 0) - (two.ui.order ?? 0))) {
    const group = model.ui.group ?? rest;
    groups.set(group, [...(groups.get(group) ?? []), model]);
  }
  return [...groups].filter(([, models]) => models.length > 0);
}
