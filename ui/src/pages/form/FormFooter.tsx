import { Button } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { useRouter } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import classes from './Form.module.css';

interface FooterProps {
  dirty: boolean;
  busy: boolean;
  label: string;
  submit: () => void;
}

/** Stays in sight however long the form is; Ctrl+S does what its button does. */
export function FormFooter({ dirty, busy, label, submit }: FooterProps) {
  const { t } = useTranslation();
  const router = useRouter();
  useHotkeys([['mod+S', submit]], []);
  return (
    <div className={classes.footer}>
      <span className="dimmed" role="status">
        {dirty ? t('form.unsaved') : ''}
      </span>
      <Button variant="default" onClick={() => router.history.back()}>
        {t('common.cancel')}
      </Button>
      <Button type="submit" loading={busy} title={t('form.shortcut')}>
        {label}
      </Button>
    </div>
  );
}
