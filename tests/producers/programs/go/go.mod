module emit

go 1.19

require lifecycleexporter/lifecycle v0.0.0

replace lifecycleexporter/lifecycle => ../../../../packaging/producers/go
