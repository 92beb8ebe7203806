import { modals } from '@mantine/modals';
import type { ReactNode } from 'react';

interface Question {
  title: string;
  detail: ReactNode;
  confirm: string;
  cancel: string;
  danger?: boolean;
  then: () => void;
  otherwise?: () => void;
}

/** Asks before something happens that a person may not have meant. */
export function ask({ title, detail, confirm, cancel, danger, then, otherwise }: Question): void {
  modals.openConfirmModal({
    title,
    children: detail,
    labels: { confirm, cancel },
    ...(danger ? { confirmProps: { color: 'red' } } : {}),
    onConfirm: then,
    ...(otherwise ? { onCancel: otherwise } : {}),
  });
}
