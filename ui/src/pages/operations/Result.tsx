import { Alert } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { may, slug, useCatalogue } from '../../api/meta';
import type { Outcome } from '../../api/runs';
import type { JsonObject, OperationMeta } from '../../api/types';
import { JsonView } from '../../components/JsonView';
import { StateChip } from '../../components/RunState';
import { isTable } from '../../display/model';
import { NestedTable } from '../../display/NestedTable';
import { useTitle } from '../../display/titles';
import { Value } from '../../display/Value';
import { valueTree } from '../../schema/tree';
import { isObject } from '../../schema/values';
import classes from './Operations.module.css';

/** What an operation gave, drawn from the schema of its output. */
export function Result({ operation, outcome }: { operation: OperationMeta; outcome: Outcome }) {
  const { t } = useTranslation();
  const about = useAbout(operation, outcome.input);
  const seesRuns = useCatalogue().mayRuns('get');
  const node = valueTree(operation.output);
  const { output } = outcome;
  return (
    <div className={classes.result} role="status">
      <div className={classes.done}>
        <StateChip state="completed" />
        {about}
      </div>
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
      {outcome.run !== null && seesRuns && (
        <Link to="/runs/$id" params={{ id: outcome.run }}>
          {t('operation.openRun')}
        </Link>
      )}
    </div>
  );
}

/** The way to the document that it was done with: the first reference of the input. */
function useAbout(operation: OperationMeta, input: JsonObject): ReactNode {
  const catalogue = useCatalogue();
  const field = operation.fields.find((each) => each.kind === 'ref' && each.within === undefined);
  const model = catalogue.model(field?.target);
  const id = field === undefined ? undefined : input[field.name];
  const title = useTitle(typeof id === 'string' ? model : undefined, typeof id === 'string' ? id : '');
  if (model === undefined || typeof id !== 'string' || !may(model, 'get')) return null;
  return (
    <Link to="/data/$model/$id" params={{ model: slug(model), id }}>
      {title}
    </Link>
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
