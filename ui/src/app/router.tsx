import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';

import { ListPage } from '../pages/list/ListPage';
import { NotFound } from '../pages/NotFound';
import { parseSearch, stringifySearch, type Search } from './search';
import { Shell } from './shell/Shell';

const root = createRootRoute({ component: Shell, notFoundComponent: () => <NotFound what="page" /> });
const asGiven = (search: Record<string, unknown>): Search => search as Search;

const routes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    component: lazyRouteComponent(() => import('../pages/home/HomePage'), 'HomePage'),
  }),
  createRoute({ getParentRoute: () => root, path: '/data/$model', validateSearch: asGiven, component: ListPage }),
  createRoute({
    getParentRoute: () => root,
    path: '/data/$model/new',
    validateSearch: asGiven,
    component: lazyRouteComponent(() => import('../pages/form/FormPage'), 'CreatePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/data/$model/$id',
    component: lazyRouteComponent(() => import('../pages/detail/DetailPage'), 'DetailPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/data/$model/$id/edit',
    component: lazyRouteComponent(() => import('../pages/form/FormPage'), 'EditPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/operations',
    component: lazyRouteComponent(() => import('../pages/operations/OperationsPage'), 'OperationsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/operations/$name',
    validateSearch: asGiven,
    component: lazyRouteComponent(() => import('../pages/operations/OperationPage'), 'OperationPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/flows/$name',
    validateSearch: asGiven,
    component: lazyRouteComponent(() => import('../pages/flow/FlowPage'), 'FlowPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/flows/$name/start',
    validateSearch: asGiven,
    component: lazyRouteComponent(() => import('../pages/operations/StartFlowPage'), 'StartFlowPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/runs',
    validateSearch: asGiven,
    component: lazyRouteComponent(() => import('../pages/runs/RunsPage'), 'RunsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/runs/$id',
    component: lazyRouteComponent(() => import('../pages/runs/RunPage'), 'RunPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/pages/$name',
    component: lazyRouteComponent(() => import('../extension/OwnPage'), 'OwnPage'),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
