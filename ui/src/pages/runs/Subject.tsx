import { useCatalogue } from '../../api/meta';
import type { ModelMeta, Run } from '../../api/types';
import { useTitle } from '../../display/titles';
import { isObject } from '../../schema/values';

/** The document that a run is about: the first reference in its input. */
export function Subject({ run }: { run: Run }) {
  const catalogue = useCatalogue();
  const fields = (run.kind === 'flow' ? catalogue.flow(run.name) : catalogue.operation(run.name))?.fields ?? [];
  const field = fields.find((each) => each.kind === 'ref');
  const id = field !== undefined && isObject(run.input) ? run.input[field.name] : undefined;
  if (typeof id !== 'string') return null;
  return <Title model={catalogue.model(field?.target)} id={id} />;
}

function Title({ model, id }: { model: ModelMeta | undefined; id: string }) {
  const title = useTitle(model, id);
  return <span className="dimmed nowrap">{title}</span>;
}
