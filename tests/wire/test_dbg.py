from random import Random
from wire.test_order_free import *
from wire.conftest import *
def test_d(make_server, customers, tmp_path):
    server = make_server(match_model=model_with_generic_limit(tmp_path, 4))
    for mode in ("nodelete","delete"):
      for ordered in (True, False):
        steps = eventful(customers(240), Random(0))
        if mode=="nodelete": steps=[s for s in steps if s.record]
        left = remaining(steps)
        arr = sorted(steps,key=lambda s:s.at) if ordered else arriving(steps, Random(100))
        if ordered:
            seen=set(); a=[]
            for s in arr:
                if s.record is None and s.key not in seen: continue
                seen.add(s.key); a.append(s)
            arr=a
        with server.client(tenant=new_tenant()) as e, server.client(tenant=new_tenant()) as f:
            play(e, arr, Random(0)); load(f,left,100)
            pe,pf=partition_of(e),partition_of(f)
            ke={k for g in pe for k in g}; kf={k for g in pf for k in g}
            print(mode, ordered, len(pe),len(pf), "missing", len(kf-ke), "extra", len(ke-kf), "diffs", len(set(pe)-set(pf)), len(set(pf)-set(pe)))
