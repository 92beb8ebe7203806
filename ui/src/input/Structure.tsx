import { ActionIcon, Button } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Json, JsonObject } from '../api/types';
import { below } from '../schema/pointers';
import type { Node } from '../schema/tree';
import { initialObject, initialValue, isObject } from '../schema/values';
import { Field } from './Field';
import classes from './Structure.module.css';
import type { InputProps } from './types';

type Errors = ReadonlyMap<string, string>;

interface FieldsProps {
  nodes: readonly Node[];
  value: JsonObject;
  onChange: (value: JsonObject) => void;
  pointer: string;
  errors: Errors;
  disabled: boolean;
}

/** An object's fields in two columns; what needs room takes both. */
export function Fields({ nodes, value, onChange, pointer, errors, disabled }: FieldsProps) {
  return (
    <div className={classes.grid}>
      {nodes.map((node) => (
        <div key={node.name} className={isWide(node) ? classes.wide : undefined}>
          <Field
            node={node}
            value={value[node.name] ?? null}
            onChange={(next) => onChange({ ...value, [node.name]: next })}
            pointer={below(pointer, node.name)}
            errors={errors}
            labelled
            disabled={disabled}
            within={value}
          />
        </div>
      ))}
    </div>
  );
}

function isWide(node: Node): boolean {
  return (
    ['list', 'embedded', 'json'].includes(node.kind) || node.ui.widget === 'textarea' || node.ui.widget === 'code'
  );
}

export function EmbeddedField(props: InputProps & { errors: Errors }) {
  const { t } = useTranslation();
  const { node, value, onChange, pointer, errors, disabled } = props;
  const title = node.title.toLowerCase();
  if (!isObject(value)) {
    return (
      <Button variant="default" size="xs" leftSection={<IconPlus size={14} aria-hidden />} data-pointer={pointer}
        onClick={() => onChange(initialObject(node.fields))}>
        {t('form.setObject', { title })}
      </Button>
    );
  }
  return (
    <fieldset className={classes.set} data-pointer={pointer}>
      <legend>{node.title}</legend>
      <Fields nodes={editable(node.fields)} value={value} onChange={onChange} pointer={pointer} errors={errors} disabled={disabled} />
      {!node.required && (
        <Button variant="subtle" size="xs" mt={10} onClick={() => onChange(null)}>
          {t('form.unsetObject', { title })}
        </Button>
      )}
    </fieldset>
  );
}

/** A list: a row for each entry, an object's fields side by side in it. */
export function ListField(props: InputProps & { errors: Errors }) {
  const { t } = useTranslation();
  const { node, value, onChange, pointer, errors, error, disabled } = props;
  const { item } = node;
  if (item === undefined) return null;
  const entries = Array.isArray(value) ? value : [];
  const columns = item.kind === 'embedded' ? editable(item.fields) : [];
  const replace = (place: number, next: Json) => onChange(entries.map((entry, each) => (each === place ? next : entry)));
  const remove = (place: number) => onChange(entries.filter((_, each) => each !== place));
  const add = () => onChange([...entries, item.kind === 'embedded' ? initialObject(columns) : initialValue(item)]);
  return (
    <div data-pointer={pointer} role="group" aria-label={node.title}>
      <div className={classes.label}>
        {node.title}
        {node.required && (
          <span className={classes.star} aria-hidden>
            *
          </span>
        )}
      </div>
      {node.description !== '' && <p className={classes.note}>{node.description}</p>}
      {entries.length > 0 && (
        <div className={classes.scroll}>
          <table className={classes.rows}>
            {columns.length > 0 && (
              <thead>
                <tr>
                  {columns.map((column) => (
                    <th key={column.name}>{column.title}</th>
                  ))}
                  <th className={classes.remove}>
                    <span className="visually-hidden">{t('common.actions')}</span>
                  </th>
                </tr>
              </thead>
            )}
            <tbody>
              {entries.map((entry, place) => (
                <tr key={place}>
                  {item.kind === 'embedded' ? (
                    <Cells item={columns} entry={isObject(entry) ? entry : {}} onChange={(next) => replace(place, next)}
                      pointer={below(pointer, place)} errors={errors} disabled={disabled} />
                  ) : (
                    <td>
                      <Field node={item} value={entry} onChange={(next) => replace(place, next)} pointer={below(pointer, place)}
                        errors={errors} labelled={false} disabled={disabled} within={props.within} />
                    </td>
                  )}
                  <td className={classes.remove}>
                    <ActionIcon variant="subtle" color="gray" size={34} onClick={() => remove(place)}
                      aria-label={t('form.removeRow', { row: place + 1 })} disabled={disabled}>
                      <IconTrash size={16} aria-hidden />
                    </ActionIcon>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Button variant="default" size="compact-sm" mt={6} leftSection={<IconPlus size={14} aria-hidden />} onClick={add} disabled={disabled}>
        {t('form.addRow')}
      </Button>
      {error !== null && (
        <p className={classes.error} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

interface CellsProps {
  item: readonly Node[];
  entry: JsonObject;
  onChange: (value: JsonObject) => void;
  pointer: string;
  errors: Errors;
  disabled: boolean;
}

function Cells({ item, entry, onChange, pointer, errors, disabled }: CellsProps) {
  return item.map((node) => (
    <td key={node.name} data-title={node.title}>
      <Field node={node} value={entry[node.name] ?? null} onChange={(next) => onChange({ ...entry, [node.name]: next })}
        pointer={below(pointer, node.name)} errors={errors} labelled={false} disabled={disabled} within={entry} />
    </td>
  ));
}

/** Of an entry, what a person writes: its id is given by the system. */
function editable(nodes: readonly Node[]): Node[] {
  return nodes.filter((node) => !node.readonly && node.name !== 'id' && node.ui.hidden !== true);
}
