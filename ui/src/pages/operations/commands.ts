import type { JsonObject, OperationMeta } from '../../api/types';

/** A text as one word of a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

export function asCurl(origin: string, operation: OperationMeta, input: JsonObject): string {
  const address = `${origin}/api${operation.path}`;
  return `curl -X POST ${address} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(input))}`;
}

export function asCommand(operation: OperationMeta, input: JsonObject): string {
  return `pulpo ${operation.name.replaceAll('.', ' ')} --input ${quoted(JSON.stringify(input))}`;
}
