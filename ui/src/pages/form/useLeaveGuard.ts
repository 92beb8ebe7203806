import { useBlocker } from '@tanstack/react-router';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { ask } from '../../components/Ask';

/** Asks before a form with unsaved changes is left; `allow` once they are saved. */
export function useLeaveGuard(dirty: boolean): { allow: () => void } {
  const { t } = useTranslation();
  const allowed = useRef(false);
  useBlocker({
    enableBeforeUnload: () => dirty && !allowed.current,
    shouldBlockFn: () => {
      if (!dirty || allowed.current) return false;
      return new Promise<boolean>((resolve) => {
        ask({
          title: t('form.leave'),
          detail: t('form.leaveDetail'),
          confirm: t('form.leaveButton'),
          cancel: t('form.stay'),
          danger: true,
          then: () => resolve(false),
          otherwise: () => resolve(true),
        });
      });
    },
  });
  return {
    allow: () => {
      allowed.current = true;
    },
  };
}
