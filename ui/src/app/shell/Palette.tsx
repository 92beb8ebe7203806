import { Spotlight } from '@mantine/spotlight';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useQueries } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { listQuery } from '../../api/documents';
import { may, slug, useCatalogue } from '../../api/meta';
import type { ModelMeta } from '../../api/types';
import { Icon } from '../../components/Icon';
import { titleOf } from '../../display/titles';

interface Entry {
  id: string;
  group: string;
  label: string;
  description?: string;
  icon: string;
  go: () => void;
}

const SHORTEST = 2;
const MODELS = 6;
const HITS = 4;
const SHOWN = 8;
const DESCRIBED = 2;
const NO_MATCH = 3;
const ENOUGH = 3;

export function Palette() {
  const { t } = useTranslation();
  const [query, setQuery] = useState('');
  const places = usePlaces();
  const found = useFound(query);
  const text = query.trim().toLowerCase();
  const ranked = places.filter((entry) => rank(entry, text) < NO_MATCH).toSorted((one, two) => rank(one, text) - rank(two, text));
  const named = ranked.filter((entry) => rank(entry, text) < DESCRIBED);
  // Those that are only described so would push out of sight what was looked for: they come where little else is.
  const matching = (named.length >= ENOUGH ? named : ranked).slice(0, text === '' ? SHOWN : SHOWN * 2);
  const entries = [...matching, ...found];
  const shown = new Set(entries.map((entry) => entry.group));
  const order = [t('palette.goto'), t('palette.found'), t('palette.create'), t('palette.run')];
  const groups = order.filter((group) => shown.has(group));
  return (
    <Spotlight.Root query={query} onQueryChange={setQuery} scrollable maxHeight={440} shortcut={['mod + K']} tagsToIgnore={[]}
      attributes={{ content: { 'aria-label': t('palette.title') } }}>
      <Spotlight.Search
        placeholder={t('palette.placeholder')}
        aria-label={t('palette.placeholder')}
        leftSection={<IconSearch size={18} aria-hidden />}
      />
      <Spotlight.ActionsList>
        {entries.length === 0 && <Spotlight.Empty>{t('palette.nothing')}</Spotlight.Empty>}
        {groups.map((group) => (
          <Spotlight.ActionsGroup key={group} label={group}>
            {entries
              .filter((entry) => entry.group === group)
              .map((entry) => (
                <Spotlight.Action
                  key={entry.id}
                  label={entry.label}
                  {...(entry.description ? { description: entry.description } : {})}
                  leftSection={<Icon name={entry.icon} />}
                  highlightQuery={false}
                  onClick={entry.go}
                />
              ))}
          </Spotlight.ActionsGroup>
        ))}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}

/** Those that are called so come first, then those whose name has it inside, then those that are described so. */
function rank(entry: Entry, text: string): number {
  const label = entry.label.toLowerCase();
  if (label.startsWith(text)) return 0;
  if (label.includes(text)) return 1;
  return entry.description?.toLowerCase().includes(text) === true ? 2 : NO_MATCH;
}

function usePlaces(): Entry[] {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const navigate = useNavigate();
  return useMemo(() => {
    const { meta } = catalogue;
    const listed = meta.models.filter((model) => may(model, 'list'));
    const iconOf = (model: ModelMeta) => model.ui.icon ?? 'file';
    return [
      ...listed.map((model) => ({
        id: `list:${model.name}`,
        group: t('palette.goto'),
        label: model.plural,
        description: firstSentence(model.description),
        icon: iconOf(model),
        go: () => void navigate({ to: '/data/$model', params: { model: slug(model) }, search: {} }),
      })),
      ...meta.flows
        .filter((flow) => flow.plan.steps.length > 0)
        .map((flow) => ({
          id: `flow:${flow.name}`,
          group: t('palette.goto'),
          label: flow.title,
          description: t('palette.flow'),
          icon: 'flow',
          go: () => void navigate({ to: '/flows/$name', params: { name: flow.name }, search: {} }),
        })),
      ...(catalogue.mayRuns('list')
        ? [
            {
              id: 'runs',
              group: t('palette.goto'),
              label: t('runs.title'),
              icon: 'activity',
              go: () => void navigate({ to: '/runs', search: {} }),
            },
          ]
        : []),
      ...meta.models
        .filter((model) => may(model, 'create'))
        .map((model) => ({
          id: `new:${model.name}`,
          group: t('palette.create'),
          label: t('palette.newOne', { title: model.title.toLowerCase() }),
          icon: iconOf(model),
          go: () => void navigate({ to: '/data/$model/new', params: { model: slug(model) }, search: {} }),
        })),
      ...meta.operations
        .filter((operation) => operation.may.includes('call') && operation.ui.hidden !== true)
        .map((operation) => ({
          id: `run:${operation.name}`,
          group: t('palette.run'),
          label: operation.title,
          description: operation.name,
          icon: operation.ui.icon ?? 'play',
          go: () => void navigate({ to: '/operations/$name', params: { name: operation.name }, search: {} }),
        })),
    ];
  }, [catalogue, navigate, t]);
}

/** Documents that have the text in them: of the first models whose lists can be searched. */
function useFound(query: string): Entry[] {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const navigate = useNavigate();
  const [text] = useDebouncedValue(query.trim(), 200);
  const models = meta.models
    .filter((model) => may(model, 'list') && model.label !== 'id' && model.searched.includes(model.label))
    .toSorted((one, two) => (one.ui.order ?? 0) - (two.ui.order ?? 0))
    .slice(0, MODELS);
  const results = useQueries({
    queries: models.map((model) => ({
      ...listQuery(model, `q=${encodeURIComponent(text)}&limit=${HITS}`),
      enabled: text.length >= SHORTEST,
    })),
  });
  if (text.length < SHORTEST) return [];
  return models.flatMap((model, place) =>
    (results[place]?.data?.documents ?? []).map((document) => ({
      id: `document:${model.name}:${document.id}`,
      group: t('palette.found'),
      label: titleOf(model, document),
      description: model.title,
      icon: model.ui.icon ?? 'file',
      go: () =>
        void navigate({ to: '/data/$model/$id', params: { model: slug(model), id: document.id } }),
    })),
  );
}

function firstSentence(text: string): string {
  return text.split(/(?<=[.:])\s/)[0] ?? '';
}
