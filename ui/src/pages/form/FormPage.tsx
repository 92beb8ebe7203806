import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { notifications } from '@mantine/notifications';
import { useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem, freshKey } from '../../api/client';
import { create, documentKeys, documentQuery, loadDocument, patch, type Loaded } from '../../api/documents';
import { may, slug, useCatalogue } from '../../api/meta';
import type { Document, JsonObject, ModelMeta } from '../../api/types';
import { Page, Panel } from '../../components/Page';
import { ProblemState, SkeletonRows } from '../../components/States';
import { writable } from '../../display/model';
import { titleOf } from '../../display/titles';
import { Fields } from '../../input/Structure';
import { FormErrors } from '../../input/FormErrors';
import { useForm } from '../../input/useForm';
import { prefilled } from '../../input/prefill';
import { changes, initialObject, sent } from '../../schema/values';
import { NotFound } from '../NotFound';
import { Conflict } from './Conflict';
import { FormFooter } from './FormFooter';
import { useLeaveGuard } from './useLeaveGuard';

export function CreatePage() {
  const { model: address } = useParams({ from: '/data/$model/new' });
  const model = useCatalogue().modelAt(address);
  if (model === undefined || !may(model, 'create')) return <NotFound what="form" />;
  return <CreateForm key={model.name} model={model} />;
}

function CreateForm({ model }: { model: ModelMeta }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const client = useQueryClient();
  const search = useSearch({ from: '/data/$model/new' });
  const nodes = useMemo(() => writable(model, true), [model]);
  const [form, attach] = useForm(nodes, { ...initialObject(nodes), ...prefilled(nodes, search) });
  const [busy, setBusy] = useState(false);
  const key = useRef(freshKey());
  const leaving = useLeaveGuard(form.dirty);

  const submit = async () => {
    if (busy || !form.check()) return;
    setBusy(true);
    try {
      const document = await create(model, sent(nodes, form.value), key.current);
      await client.invalidateQueries({ queryKey: documentKeys.model(model.name) });
      leaving.allow();
      await navigate({ to: '/data/$model/$id', params: { model: slug(model), id: document.id } });
    } catch (error) {
      if (!asProblem(error).passing) key.current = freshKey(); // what was refused may be sent again, changed
      form.fail(error);
    } finally {
      setBusy(false);
    }
  };

  const title = t('form.create', { title: model.title.toLowerCase() });
  return (
    <Page title={title} crumbs={[<ListLink key="list" model={model} />, title]}>
      <Panel>
        <form ref={attach} onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }} noValidate aria-label={title}>
          <FormErrors form={form} />
          <Fields nodes={nodes} value={form.value} onChange={form.setValue} pointer="" errors={form.errors} disabled={busy} />
          <FormFooter dirty={form.dirty} busy={busy} label={t('form.createButton')} submit={() => void submit()} />
        </form>
      </Panel>
    </Page>
  );
}

export function EditPage() {
  const { model: address, id } = useParams({ from: '/data/$model/$id/edit' });
  const model = useCatalogue().modelAt(address);
  if (model === undefined || !may(model, 'patch')) return <NotFound what="form" />;
  return <EditLoader key={`${model.name} ${id}`} model={model} id={id} />;
}

/** The document as it is when the form opens: what changes under the form shows as a conflict, not in the form. */
function EditLoader({ model, id }: { model: ModelMeta; id: string }) {
  const { data, error, refetch } = useQuery({ ...documentQuery(model, id), staleTime: 0, refetchOnMount: 'always' });
  const [began, setBegan] = useState<Loaded | null>(null);
  if (began === null && data !== undefined) setBegan(data);
  if (began !== null) return <EditForm model={model} began={began} />;
  return (
    <Page title={id}>
      <Panel>{error === null ? <SkeletonRows /> : <ProblemState error={error} retry={() => void refetch()} />}</Panel>
    </Page>
  );
}

function EditForm({ model, began }: { model: ModelMeta; began: Loaded }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const client = useQueryClient();
  const nodes = useMemo(() => writable(model, false), [model]);
  const [base, setBase] = useState(began);
  const [theirs, setTheirs] = useState<Loaded | null>(null);
  const [form, attach] = useForm(nodes, fieldsOf(base.document, nodes));
  const [busy, setBusy] = useState(false);
  const leaving = useLeaveGuard(form.dirty);
  const { id } = base.document;
  const title = titleOf(model, base.document);

  const save = async (etag: string | null) => {
    if (busy || !form.check()) return;
    setBusy(true);
    try {
      await patch(model, id, changes(nodes, fieldsOf(base.document, nodes), form.value), etag);
      await client.invalidateQueries({ queryKey: documentKeys.model(model.name) });
      leaving.allow();
      notifications.show({ color: 'green', message: t('form.saved') });
      await navigate({ to: '/data/$model/$id', params: { model: slug(model), id } });
    } catch (error) {
      if (asProblem(error).status === 412) {
        setTheirs(await loadDocument(model, id));
      } else {
        form.fail(error);
      }
    } finally {
      setBusy(false);
    }
  };
  const begin = (loaded: Loaded) => {
    setBase(loaded);
    setTheirs(null);
    form.reset(fieldsOf(loaded.document, nodes));
  };

  return (
    <Page
      title={t('form.edit', { title })}
      crumbs={[
        <ListLink key="list" model={model} />,
        <Link key="one" to="/data/$model/$id" params={{ model: slug(model), id }}>
          {title}
        </Link>,
        t('detail.edit'),
      ]}
    >
      <Panel>
        {theirs !== null && (
          <Conflict
            nodes={nodes}
            base={base.document}
            yours={form.value}
            theirs={theirs.document}
            take={() => begin(theirs)}
            keep={() => void save(theirs.etag)}
          />
        )}
        <form ref={attach} onSubmit={(event) => {
            event.preventDefault();
            void save(base.etag);
          }} noValidate aria-label={t('form.edit', { title })}>
          <FormErrors form={form} />
          <Fields nodes={nodes} value={form.value} onChange={form.setValue} pointer="" errors={form.errors} disabled={busy} />
          <FormFooter dirty={form.dirty} busy={busy} label={t('form.save')} submit={() => void save(base.etag)} />
        </form>
      </Panel>
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

function fieldsOf(document: Document, nodes: readonly { name: string }[]): JsonObject {
  return Object.fromEntries(nodes.map((node) => [node.name, document[node.name] ?? null]));
}
