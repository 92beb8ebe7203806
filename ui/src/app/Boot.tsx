import { useQuery } from '@tanstack/react-query';
import { useMemo, type ReactNode } from 'react';

import { read } from '../api/client';
import { Catalogue, CatalogueContext } from '../api/meta';
import type { Meta } from '../api/types';
import { ProblemState, SkeletonRows } from '../components/States';

const ASK_AGAIN = 3000;

/** Reads the metadata, from which everything else is drawn; asks again while nobody answers. */
export function Boot({ children }: { children: ReactNode }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['meta'],
    queryFn: ({ signal }) => read<Meta>('/meta', signal),
    staleTime: 60_000,
    refetchInterval: (query) => (query.state.data === undefined && query.state.error !== null ? ASK_AGAIN : false),
  });
  const catalogue = useMemo(() => (data === undefined ? null : new Catalogue(data)), [data]);
  if (catalogue !== null) return <CatalogueContext value={catalogue}>{children}</CatalogueContext>;
  if (error !== null) return <ProblemState error={error} retry={() => void refetch()} />;
  return <SkeletonRows rows={14} />;
}
