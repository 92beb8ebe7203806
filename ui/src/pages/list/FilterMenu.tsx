import { Button, Popover, Select, Stack } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Json, ModelMeta } from '../../api/types';
import { modelTree } from '../../display/model';
import { Field } from '../../input/Field';
import type { Node } from '../../schema/tree';
import type { Filter } from './state';

const NOTHING: ReadonlyMap<string, string> = new Map();
/** Comparisons that take one value; several at once are for addresses. */
const OFFERED = ['eq', 'ne', 'contains', 'startswith', 'gt', 'gte', 'lt', 'lte'] as const;

/** Any field that lists can be filtered by, in any way that it can be compared. */
export function FilterMenu({ model, add }: { model: ModelMeta; add: (filter: Filter) => void }) {
  const { t } = useTranslation();
  const [opened, setOpened] = useState(false);
  const [path, setPath] = useState<string | null>(null);
  const [operator, setOperator] = useState('eq');
  const [value, setValue] = useState<Json>(null);
  const fields = model.filters.flatMap((filter) => {
    const node = leaf(modelTree(model), filter.path);
    return node === undefined ? [] : [{ ...filter, ...node }];
  });
  const chosen = fields.find((field) => field.path === path);
  const choose = (next: string | null) => {
    setPath(next);
    setOperator('eq');
    setValue(null);
  };
  const apply = (event: SubmitEvent) => {
    event.preventDefault();
    event.stopPropagation();
    if (chosen === undefined || value === null || value === '') return;
    add({ path: chosen.path, operator, value: typeof value === 'string' ? value : JSON.stringify(value) });
    setOpened(false);
    choose(null);
  };
  return (
    <Popover opened={opened} onChange={setOpened} width={280} position="bottom-start" trapFocus closeOnClickOutside={false}>
      <Popover.Target>
        <Button variant="default" leftSection={<IconPlus size={15} aria-hidden />} onClick={() => setOpened(!opened)}>
          {t('list.filter')}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <form onSubmit={apply} aria-label={t('list.addFilter')}>
          <Stack gap={10}>
            <Select
              label={t('list.field')}
              data={fields.map((field) => ({ value: field.path, label: field.title }))}
              value={path}
              onChange={choose}
              searchable
              comboboxProps={{ withinPortal: false }}
            />
            {chosen && (
              <Select
                label={t('list.operator')}
                data={OFFERED.filter((each) => chosen.operators.includes(each)).map((each) => ({ value: each, label: t(`list.operators.${each}`) }))}
                value={operator}
                onChange={(next) => setOperator(next ?? 'eq')}
                allowDeselect={false}
                comboboxProps={{ withinPortal: false }}
              />
            )}
            {chosen && (
              <Field
                key={chosen.path}
                node={asked(chosen.node, t('list.value'))}
                value={value}
                onChange={setValue}
                pointer="/value"
                errors={NOTHING}
                labelled
                disabled={false}
                within={{}}
              />
            )}
            <Button type="submit" size="xs" disabled={chosen === undefined}>
              {t('list.apply')}
            </Button>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

/** The field at a dotted path, and what it is called with what it stands in. */
function leaf(nodes: readonly Node[], path: string): { node: Node; title: string } | undefined {
  const [name, ...rest] = path.split('.');
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) return undefined;
  const inner = found.kind === 'list' && found.item !== undefined ? found.item : found;
  if (rest.length === 0) return { node: inner, title: found.title };
  const below = leaf(inner.fields, rest.join('.'));
  return below && { node: below.node, title: `${found.title}: ${below.title}` };
}

/** The field as a question: it may always be written, and nothing else stands for its value. */
function asked(node: Node, title: string): Node {
  const { within: _, ...rest } = node;
  return { ...rest, title, description: '', readonly: false, required: false, nullable: node.kind === 'boolean', ui: {} };
}
