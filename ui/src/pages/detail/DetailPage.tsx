import { ActionIcon, Button, Menu, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconChevronDown, IconDots, IconPencil, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { Fragment, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '../../api/client';
import { documentKeys, expandedQuery, remove } from '../../api/documents';
import { may, slug, useCatalogue } from '../../api/meta';
import type { Document, ModelMeta } from '../../api/types';
import { ask } from '../../components/Ask';
import { Copy } from '../../components/Copy';
import { Icon } from '../../components/Icon';
import { JsonView } from '../../components/JsonView';
import { Page, Panel } from '../../components/Page';
import { ProblemState, SkeletonRows } from '../../components/States';
import { factsOf, isTable, modelTree, statusNode } from '../../display/model';
import { NestedTable } from '../../display/NestedTable';
import { titleOf } from '../../display/titles';
import { Value } from '../../display/Value';
import { words } from '../../schema/tree';
import { NotFound } from '../NotFound';
import { Activity } from './Activity';
import classes from './Detail.module.css';
import { Related } from './Related';

export function DetailPage() {
  const { model: address, id } = useParams({ from: '/data/$model/$id' });
  const model = useCatalogue().modelAt(address);
  if (model === undefined || !may(model, 'get')) return <NotFound what="document" />;
  return <Detail key={`${model.name} ${id}`} model={model} id={id} />;
}

function Detail({ model, id }: { model: ModelMeta; id: string }) {
  const { data, error, refetch } = useQuery(expandedQuery(model, id));
  if (data !== undefined) return <Loaded model={model} document={data} />;
  return (
    <Page title={id} crumbs={[<ListLink key="list" model={model} />]}>
      <Panel>{error === null ? <SkeletonRows /> : <ProblemState error={error} retry={() => void refetch()} />}</Panel>
    </Page>
  );
}

function ListLink({ model }: { model: ModelMeta }) {
  return (
    <Link to="/data/$model" params={{ model: slug(model) }} search={{}}>
      {model.plural}
    </Link>
  );
}

function Loaded({ model, document }: { model: ModelMeta; document: Document }) {
  const { t } = useTranslation();
  const title = titleOf(model, document);
  const status = statusNode(model);
  const tables = modelTree(model).filter((node) => isTable(node) && node.ui.hidden !== true);
  return (
    <Page
      title={title}
      crumbs={[<ListLink key="list" model={model} />, title]}
      beside={
        <>
          <Copy value={document.id} what={document.id} />
          {status && <Value node={status} value={document[status.name] ?? null} within={document} />}
        </>
      }
      actions={<Actions model={model} document={document} title={title} />}
    >
      <div className={classes.columns}>
        <div className={classes.left}>
          {tables.map((node) => (
            <Panel key={node.name} title={node.title} flush>
              <NestedTable node={node} value={document[node.name] ?? null} />
            </Panel>
          ))}
          <Sections model={model} document={document} />
        </div>
        <Panel title={t('detail.facts')} className={classes.facts ?? ''}>
          <dl className={classes.pairs}>
            {factsOf(model).map((node) => (
              <div key={node.name}>
                <dt>{node.title}</dt>
                <dd>
                  <Value node={node} value={document[node.name] ?? null} within={document} />
                </dd>
              </div>
            ))}
            <div>
              <dt>Id</dt>
              <dd>
                <code>{document.id}</code>
              </dd>
            </div>
          </dl>
        </Panel>
      </div>
    </Page>
  );
}

function Sections({ model, document }: { model: ModelMeta; document: Document }) {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const tabs = [
    ...(model.referred_by.length > 0 ? ['related' as const] : []),
    ...(meta.runs.may.includes('list') ? ['activity' as const] : []),
    'json' as const,
  ];
  const [tab, setTab] = useState<string | null>(tabs[0] ?? 'json');
  return (
    <Panel flush>
      <Tabs value={tab} onChange={setTab} keepMounted={false}>
        <Tabs.List px={12}>
          {tabs.map((each) => (
            <Tabs.Tab key={each} value={each}>
              {each === 'json' ? t('common.json') : t(`detail.${each}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="related">
          <Related model={model} id={document.id} />
        </Tabs.Panel>
        <Tabs.Panel value="activity">
          <Activity model={model} id={document.id} />
        </Tabs.Panel>
        <Tabs.Panel value="json" p={16}>
          <JsonView value={document} label={t('common.json')} />
        </Tabs.Panel>
      </Tabs>
    </Panel>
  );
}

function Actions({ model, document, title }: { model: ModelMeta; document: Document; title: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const client = useQueryClient();
  const address = { model: slug(model), id: document.id };
  const { mutate } = useMutation({
    mutationFn: () => remove(model, document.id, document.version === undefined ? null : `"${document.version}"`),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: [...documentKeys.model(model.name), 'list'] });
      notifications.show({ message: t('detail.deleted', { title }) });
      await navigate({ to: '/data/$model', params: { model: slug(model) }, search: {} });
    },
    onError: (error) => notifications.show({ color: 'red', title: t('problem.title'), message: asProblem(error).detail }),
  });
  const really = () =>
    ask({
      title: t('detail.deleteAsk', { title }),
      detail: t('list.deleteDetail'),
      confirm: t('detail.delete'),
      cancel: t('common.cancel'),
      danger: true,
      then: mutate,
    });
  return (
    <div className={classes.actions}>
      <OperationsMenu model={model} document={document} />
      {may(model, 'patch') && (
        <Button
          leftSection={<IconPencil size={15} aria-hidden />}
          renderRoot={(props) => <Link to="/data/$model/$id/edit" params={address} {...props} />}
        >
          {t('detail.edit')}
        </Button>
      )}
      {may(model, 'delete') && (
        <Menu>
          <Menu.Target>
            <ActionIcon variant="default" size={36} aria-label={t('common.more')}>
              <IconDots size={17} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item color="var(--mantine-color-error)" leftSection={<IconTrash size={15} aria-hidden />} onClick={really}>
              {t('detail.delete')}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  );
}

/** Flows and operations that take this document, each with it filled in. */
function OperationsMenu({ model, document }: { model: ModelMeta; document: Document }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const navigate = useNavigate();
  const flows = catalogue.flowsOn(model);
  const operations = catalogue.operationsOn(model);
  const groups = [...new Set(operations.map((operation) => operation.group))];
  if (flows.length + operations.length === 0) return null;
  const filled = (fields: { name: string; kind: string; target?: string }[]) => {
    const field = fields.find((each) => each.kind === 'ref' && each.target === model.name);
    return field === undefined ? {} : { [field.name]: document.id };
  };
  return (
    <Menu>
      <Menu.Target>
        <Button variant="default" rightSection={<IconChevronDown size={15} aria-hidden />}>
          {t('detail.runOperation')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={560} style={{ overflowY: 'auto' }}>
        {flows.length > 0 && <Menu.Label>{t('nav.flows')}</Menu.Label>}
        {flows.map((flow) => (
          <Menu.Item
            key={flow.name}
            leftSection={<Icon name="flow" size={15} />}
            onClick={() => void navigate({ to: '/flows/$name/start', params: { name: flow.name }, search: filled(flow.fields) })}
          >
            {flow.title}
          </Menu.Item>
        ))}
        {groups.map((group) => (
          <Fragment key={group}>
            <Menu.Label>{words(group.split('.').at(-1) ?? group)}</Menu.Label>
            {operations
              .filter((operation) => operation.group === group)
              .map((operation) => (
                <Menu.Item
                  key={operation.name}
                  leftSection={<Icon name={operation.ui.icon ?? 'play'} size={15} />}
                  {...(operation.ui.danger ? { color: 'var(--mantine-color-error)' } : {})}
                  onClick={() => void navigate({ to: '/operations/$name', params: { name: operation.name }, search: filled(operation.fields) })}
                >
                  {operation.title}
                </Menu.Item>
              ))}
          </Fragment>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
