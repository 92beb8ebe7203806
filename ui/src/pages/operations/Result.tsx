import { Alert } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Outcome } from '../../api/runs';
import type { OperationMeta } from '../../api/types';
import { JsonView } from '../../components/JsonView';
import { isTable } from '../../display/model';
import { NestedTable } from '../../display/NestedTable';
import { Value } from '../../display/Value';
import { valueTree } from '../../schema/tree';
import { isObject } from '../../schema/values';
import classes from './Operations.module.css';

/** What an operation gave, drawn from the schema of its output. */
export function Result({ operation, outcome }: { operation: OperationMeta; outcome: Outcome }) {
  const { t } = useTranslation();
  const node = valueTree(operation.output);
  const { output } = outcome;
  return (
    <div className={classes.result} role="status">
      {outcome.already && (
        <Alert color="blue" icon={<IconCircleCheck aria-hidden />}>
          {t('operation.already')}
        </Alert>
      )}
      {isObject(output) && node.fields.length > 0 ? (
        <>
          <dl className={classes.pairs}>
            {node.fields
              .filter((field) => !isTable(field))
              .map((field) => (
                <Pair key={field.name} title={field.title}>
                  <Value node={field} value={output[field.name] ?? null} within={output} />
                </Pair>
              ))}
          </dl>
          {node.fields.filter(isTable).map((field) => (
            <section key={field.name} aria-label={field.title}>
              <b>{field.title}</b>
              <NestedTable node={field} value={output[field.name] ?? null} />
            </section>
          ))}
        </>
      ) : (
        <JsonView value={output} label={t('operation.result')} />
      )}
      {outcome.run !== null && (
        <Link to="/runs/$id" params={{ id: outcome.run }}>
          {t('operation.openRun')}
        </Link>
      )}
    </div>
  );
}

function Pair({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </>
  );
}
