import { Alert } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Form } from './useForm';

/** What is wrong, above the form: how many fields, or the reason in words. */
export function FormErrors({ form }: { form: Form }) {
  const { t } = useTranslation();
  const { errors, problem } = form;
  if (errors.size === 0 && problem === null) return null;
  const title = errors.size > 0 ? t('form.attention', { count: errors.size }) : (problem?.detail ?? t('problem.title'));
  const elsewhere = problem?.errors.filter(({ message }) => ![...errors.values()].includes(message)) ?? [];
  return (
    <Alert color="red" variant="light" icon={<IconAlertCircle aria-hidden />} title={title} mb={16} role="alert">
      {problem?.hint ?? null}
      {elsewhere.map((each) => (
        <div key={each.pointer}>
          <code>{each.pointer}</code> {each.message}
        </div>
      ))}
    </Alert>
  );
}
