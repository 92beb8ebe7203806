import { Drawer } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { slug, useCatalogue } from '../../api/meta';
import type { LogEntry, Plan, StepRun } from '../../api/types';
import { Chip } from '../../components/Chip';
import { clock, duration, moment } from '../../components/format';
import { JsonView } from '../../components/JsonView';
import { StateChip } from '../../components/RunState';
import { Why } from '../flow/Why';
import type { Bar } from './figures';
import classes from './Runs.module.css';

interface DrawerProps {
  bar: Bar | null;
  plan: Plan | undefined;
  titled: (operation: string) => string;
  close: () => void;
}

/** One step: what went in, what came out, what it touched, what went wrong, and why it came where it came. */
export function StepDrawer({ bar, plan, titled, close }: DrawerProps) {
  const { t } = useTranslation();
  const step = bar?.step ?? null;
  return (
    <Drawer opened={bar !== null} onClose={close} position="right" size={480} title={bar === null ? '' : bar.compensation ? t('run.undo', { step: bar.title }) : bar.title}>
      {bar && (
        <div className={classes.drawer}>
          <div className={classes.actions}>
            {step && <StateChip state={step.state} />}
            {bar.critical && <Chip>{t('run.critical')}</Chip>}
            {bar.compensation && <Chip colour="violet">{t('run.undone')}</Chip>}
          </div>
          <p>
            <Link to="/operations/$name" params={{ name: bar.operation }} search={{}}>
              <code>{bar.operation}</code>
            </Link>
          </p>
          {step && <Happened step={step} title={bar.title} length={bar.took} />}
          {plan && !bar.compensation && <Why plan={plan} operation={bar.operation} titled={titled} />}
        </div>
      )}
    </Drawer>
  );
}

/** A line that an operation logged; how grave it is stands there in words where it is more than a note. */
export function Said({ entry }: { entry: LogEntry }) {
  const grave = ['warning', 'error', 'critical'].includes(entry.level);
  return (
    <span className={classes.line} data-level={entry.level}>
      {grave && <b>{entry.level} </b>}
      {entry.message}
    </span>
  );
}

function Touched({ touched }: { touched: [string, string, number][] }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const latest = new Map(touched.map(([model, id]) => [`${model} ${id}`, { model, id }]));
  return (
    <>
      <h3>{t('run.touched')}</h3>
      <ul className={classes.touched}>
        {[...latest.values()].map(({ model: name, id }) => {
          const model = catalogue.model(name);
          return (
            <li key={`${name} ${id}`}>
              {name}{' '}
              {model?.actions.includes('get') ? (
                <Link to="/data/$model/$id" params={{ model: slug(model), id }}>
                  <code>{id}</code>
                </Link>
              ) : (
                <code>{id}</code>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Happened({ step, title, length }: { step: StepRun; title: string; length: number | null }) {
  const { t } = useTranslation();
  return (
    <>
      {step.error && (
        <>
          <h3>{t('run.error')}</h3>
          <p>
            {step.error.detail} <code>{step.error.code}</code>
          </p>
        </>
      )}
      {step.started_at !== null && (
        <>
          <h3>{t('run.startedAt')}</h3>
          {moment(step.started_at)}
          {length !== null && ` · ${duration(length)}`}
          {step.attempts > 1 && ` · ${t('run.attempts')}: ${step.attempts}`}
        </>
      )}
      <h3>{t('run.input')}</h3>
      <JsonView value={step.input} label={t('run.inputOf', { step: title })} />
      <h3>{t('run.output')}</h3>
      <JsonView value={step.output} label={t('run.outputOf', { step: title })} />
      {step.log.length > 0 && (
        <>
          <h3>{t('run.logged')}</h3>
          <ol className={classes.said} aria-label={t('run.logged')}>
            {step.log.map((entry, place) => (
              <li key={place}>
                <time dateTime={entry.at}>{clock(entry.at)}</time> <Said entry={entry} />
              </li>
            ))}
          </ol>
        </>
      )}
      {step.touched.length > 0 && <Touched touched={step.touched} />}
    </>
  );
}
