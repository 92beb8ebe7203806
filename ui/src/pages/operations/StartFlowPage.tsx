import { Button } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem, freshKey } from '../../api/client';
import { useCatalogue } from '../../api/meta';
import { act, startFlow } from '../../api/runs';
import type { FlowMeta } from '../../api/types';
import { first } from '../../app/search';
import { Page, Panel } from '../../components/Page';
import { FormErrors } from '../../input/FormErrors';
import { prefilled } from '../../input/prefill';
import { Fields } from '../../input/Structure';
import { useForm } from '../../input/useForm';
import { tree } from '../../schema/tree';
import { initialObject, sent } from '../../schema/values';
import { NotFound } from '../NotFound';
import classes from './Operations.module.css';

export function StartFlowPage() {
  const { name } = useParams({ from: '/flows/$name/start' });
  const catalogue = useCatalogue();
  const flow = catalogue.flow(name);
  const retry = first(useSearch({ from: '/flows/$name/start' }), 'retry');
  const may = retry === undefined ? flow?.may.includes('start') : catalogue.mayRuns('retry');
  return flow === undefined || may !== true ? <NotFound what="flow" /> : <Start key={name} flow={flow} />;
}

/** A flow's input; with `retry` in the address the run that begins names the one that it tries again. */
function Start({ flow }: { flow: FlowMeta }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search = useSearch({ from: '/flows/$name/start' });
  const retry = first(search, 'retry');
  const nodes = useMemo(() => tree(flow.input, flow.fields), [flow]);
  const [form, attach] = useForm(nodes, { ...initialObject(nodes), ...prefilled(nodes, search) });
  const [busy, setBusy] = useState(false);
  const key = useRef(freshKey());

  const submit = async () => {
    if (busy || !form.check()) return;
    setBusy(true);
    const input = sent(nodes, form.value);
    try {
      const run = retry === undefined ? await startFlow(flow, input, key.current) : await act(retry, 'retry', { input });
      await navigate({ to: '/runs/$id', params: { id: run.id } });
    } catch (error) {
      if (!asProblem(error).passing) key.current = freshKey();
      form.fail(error);
      setBusy(false);
    }
  };

  return (
    <Page
      title={flow.title}
      crumbs={[
        <Link key="flow" to="/flows/$name" params={{ name: flow.name }} search={{}}>
          {flow.title}
        </Link>,
        t('operation.start'),
      ]}
      below={
        retry === undefined ? (
          flow.plan.description
        ) : (
          <>
            {t('run.retryOf')}{' '}
            <Link to="/runs/$id" params={{ id: retry }}>
              {retry}
            </Link>
          </>
        )
      }
    >
      <Panel>
        <form
          ref={attach}
          noValidate
          aria-label={flow.title}
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <FormErrors form={form} />
          <Fields nodes={nodes} value={form.value} onChange={form.setValue} pointer="" errors={form.errors} disabled={busy} />
          <div className={classes.footer}>
            <span className="dimmed">{t('operation.noFlowResult')}</span>
            <Button type="submit" loading={busy} leftSection={<IconPlayerPlay size={15} aria-hidden />}>
              {t('operation.start')}
            </Button>
          </div>
        </form>
      </Panel>
    </Page>
  );
}
